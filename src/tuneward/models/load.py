"""Load base weights and put the adapter on them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tuneward.errors import ConfigError, ModelError
from tuneward.models.importing import IMPORTING
from tuneward.models.memory import check_fits
from tuneward.models.quiet import quiet_libraries

if TYPE_CHECKING:  # models load where pydantic is not installed
    from tuneward.config import LoraConfig


def set_threads(threads: int | None) -> int:
    """Use `threads` CPU threads, or every core this process may run on; returns the number."""
    count = threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(count)
    return count


def default_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_base(folder: Path, name: str | None = None, *, attention: str = "sdpa") -> nn.Module:
    """Load a causal language model for sampling and training, frozen and in evaluation mode.

    Dropout stays off in sampling and training alike, so that both see the same policy. Weights are fp32 on the
    CPU and bf16 on a GPU.

    Args:
        folder: local model folder.
        name: how the user called it, for messages.
        attention: name of the attention implementation to run the model with.

    Raises:
        ModelError: not a causal language model, damaged weights, or too little memory.
    """
    with IMPORTING:
        from transformers import AutoModelForCausalLM

    device = default_device()
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    shown = name or str(folder)
    if device.type == "cpu":
        check_fits(folder, shown, bytes_per_parameter=4)
    with quiet_libraries():
        try:
            model: nn.Module = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, attn_implementation=attention, local_files_only=True
            )
        except Exception as error:  # the libraries raise many types for a damaged or foreign folder
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{shown}: cannot be loaded as a causal language model ({reason}).") from None
    model.requires_grad_(False)
    return model.to(device).eval()


def add_adapter(model: nn.Module, lora: LoraConfig, *, seed: int) -> Any:
    """Wrap a base model with a LoRA adapter in fp32; B starts at 0, so the policy starts as the base.

    Args:
        model: from `load_base`.
        lora: rank, scale and target modules, or a folder to start from.
        seed: of A's random numbers.

    Returns:
        A `peft.PeftModel` whose only trainable parameters are the adapter's.

    Raises:
        ConfigError: target modules that the model has not, or an unreadable starting adapter.
    """
    with IMPORTING:
        from peft import LoraConfig as PeftLoraConfig
        from peft import PeftModel, get_peft_model

    with quiet_libraries(), torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            if lora.init_from is not None:
                return PeftModel.from_pretrained(model, str(lora.init_from), is_trainable=True)
            targets = lora.target_modules
            return get_peft_model(
                model,
                PeftLoraConfig(
                    r=lora.r,
                    lora_alpha=lora.alpha,
                    lora_dropout=0.0,
                    bias="none",
                    target_modules=targets if isinstance(targets, str) else list(targets),
                    task_type="CAUSAL_LM",
                ),
            )
        except (ValueError, OSError) as error:
            raise ConfigError(f"lora: the adapter cannot be put on this model ({error}).") from None


def load_adapter(model: nn.Module, folder: Path) -> Any:
    """Put a saved adapter on a base model, frozen. Raises ModelError when the folder holds none that fits."""
    with IMPORTING:
        from peft import PeftModel

    with quiet_libraries():
        try:
            return PeftModel.from_pretrained(model, str(folder), is_trainable=False)
        except Exception as error:  # missing files, wrong shapes, foreign formats
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{folder}: cannot be loaded as an adapter of this model ({reason}).") from None


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The adapter's parameters in the model's own, stable order."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
