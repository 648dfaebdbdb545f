"""The sizes of a model and its adapter that memory depends on, read from its configuration: no weight is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tuneward.engine.attention import ATTENTION, register
from tuneward.errors import ConfigError, ModelError
from tuneward.models.importing import IMPORTING
from tuneward.models.load import add_adapter
from tuneward.models.quiet import quiet_libraries

if TYPE_CHECKING:  # sizes can be counted where pydantic is not installed
    from tuneward.config import LoraConfig

READS_ATTENTION = ("o_proj", "out_proj", "dense")
"""Names of the linear layer behind the attention; it is the one layer there that does not read the hidden state."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Widths are in numbers per token, summed over the model's layers where not said otherwise."""

    weights: int
    """Parameters of the base model, tied ones once."""
    linear: int
    """Those of plain linear layers, the output layer's among them: what sampling makes merged copies of."""
    frozen_linear: int
    """Those of plain linear layers without an adapter; their copies stay."""
    adapter: int
    """Parameters of the adapter."""
    vocabulary: int
    hidden: int
    heads: int
    """Query heads of one layer."""
    inner: int
    """Width of one layer's feed-forward part that a token passes through: all of its experts."""
    key_value: int
    """Keys and values together."""
    norm_inputs: int
    adapted_inputs: int
    """Inputs of adapted layers; layers that read the same tensor each count."""
    distinct_adapted_inputs: int
    """The same, a tensor that several layers read counted once."""
    adapted_outputs: int
    adapter_inner: int
    """Numbers between an adapter's two factors."""
    attention: int
    """Queries, keys, values and the attention's outputs."""
    feed_forward: int
    """Of a gated feed-forward part, besides the inputs of its layers: gate, its activation and the other factor."""
    stacked: int
    """Parameters of adapted experts that lie in one tensor: peft adds the adapter to a copy of the whole tensor."""
    can_record: bool
    """All adapted layers are plain ones, so that sampling can merge them and leave their outputs to the update."""


def shape_of(model: Any) -> ModelShape:
    """Count a `peft.PeftModel`; it may be on the meta device."""
    with IMPORTING:
        from peft.tuners.lora import LoraLayer

    base = model.get_base_model()
    config = base.config.get_text_config()
    layers, hidden = config.num_hidden_layers, config.hidden_size
    head_size = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
    queries = config.num_attention_heads * head_size
    keys = (getattr(config, "num_key_value_heads", None) or config.num_attention_heads) * head_size
    inner = _inner_width(config)

    adapted = [(name, module) for name, module in base.named_modules() if isinstance(module, LoraLayer)]
    of_adapters = {id(part) for _, module in adapted for part in module.modules()}
    bases = [(name, module.get_base_layer()) for name, module in adapted]
    linear = [module for module in base.modules() if type(module) is nn.Linear and id(module) not in of_adapters]
    lora = [p for name, p in base.named_parameters() if "lora_" in name]
    lora_ids = {id(parameter) for parameter in lora}
    plain = bool(bases) and all(type(layer) is nn.Linear for _, layer in bases)
    inputs = {_read_tensor(name): module.in_features for name, module in adapted}
    stacked = [module.get_param() for _, module in adapted if hasattr(module, "get_param")]
    return ModelShape(
        weights=sum(p.numel() for p in base.parameters() if id(p) not in lora_ids),
        linear=sum(layer.weight.numel() for layer in linear)
        + sum(layer.weight.numel() for _, layer in bases if type(layer) is nn.Linear),
        frozen_linear=sum(layer.weight.numel() for layer in linear),
        adapter=sum(parameter.numel() for parameter in lora),
        vocabulary=config.vocab_size,
        hidden=hidden,
        heads=config.num_attention_heads,
        inner=inner,
        key_value=2 * keys * layers,
        norm_inputs=sum(_norm_width(name, module, queries, keys) for name, module in base.named_modules()),
        adapted_inputs=sum(module.in_features for _, module in adapted),
        distinct_adapted_inputs=sum(inputs.values()),
        adapted_outputs=sum(module.out_features for _, module in adapted),
        adapter_inner=sum(module.r["default"] for _, module in adapted),
        attention=2 * (queries + keys) * layers,
        feed_forward=3 * inner * layers,
        stacked=sum(parameter.numel() for parameter in stacked),
        can_record=plain,
    )


def read_shape(folder: Path, name: str, lora: LoraConfig) -> ModelShape:
    """Shape of a model folder with the adapter that a run would put on it.

    Raises:
        ModelError: not a causal language model.
        ConfigError: target modules that the model has not, or an unreadable starting adapter.
    """
    with IMPORTING:
        from transformers import AutoConfig, AutoModelForCausalLM

    register()
    with quiet_libraries(), torch.device("meta"):
        try:
            config = AutoConfig.from_pretrained(folder)
            model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION)
        except Exception as error:  # the libraries raise many types for a damaged or foreign folder
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{name}: cannot be loaded as a causal language model ({reason}).") from None
        return shape_of(add_adapter(model, lora if lora.init_from is None else _settings_of(lora), seed=0))


def _settings_of(lora: LoraConfig) -> LoraConfig:
    """The settings of the adapter that training starts from, which go before the configuration's."""
    with IMPORTING:
        from peft import LoraConfig as PeftLoraConfig

    from tuneward.config import LoraConfig

    try:
        saved = PeftLoraConfig.from_pretrained(str(lora.init_from))
    except (ValueError, OSError, TypeError) as error:
        raise ConfigError(f"lora.init_from: {lora.init_from} cannot be read as an adapter ({error}).") from None
    targets = saved.target_modules
    names = targets if isinstance(targets, str) else tuple(sorted(targets or ()))
    return LoraConfig(r=saved.r, alpha=saved.lora_alpha, target_modules=names)


def _inner_width(config: Any) -> int:
    experts = getattr(config, "num_experts_per_tok", None)
    width = getattr(config, "moe_intermediate_size", None) if experts else None
    if experts:
        return int(experts * (width or config.intermediate_size))
    return int(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)


def _norm_width(name: str, module: nn.Module, queries: int, keys: int) -> int:
    """Numbers per token that a norm reads; 0 of any other module."""
    if not type(module).__name__.endswith("Norm"):
        return 0
    leaf = name.rpartition(".")[2]
    if leaf == "q_norm":
        return queries
    if leaf == "k_norm":
        return keys
    weight = getattr(module, "weight", None)
    return 0 if weight is None else int(weight.numel())


def _read_tensor(name: str) -> tuple[str, str]:
    """Names the tensor that an adapted layer reads: those of one block read its input, but for the last of them."""
    block, _, leaf = name.rpartition(".")
    return block, leaf if leaf in READS_ATTENTION or leaf.startswith("down") else "input"
