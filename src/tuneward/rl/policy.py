"""The policy: base model + adapter, its optimizer, and the way back when an update goes wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tuneward.config import OptimizerConfig
from tuneward.engine.forward import PackedModel
from tuneward.models.load import trainable_parameters

REFERENCE = "reference"
"""Name of the frozen copy of a starting adapter; without one, the reference is the adapter switched off."""


class Policy:
    """A LoRA policy under training.

    Args:
        model: a `peft.PeftModel` from `add_adapter`.
        config: optimizer settings.
        total_steps: length of the learning-rate schedule.
        merge: see `PackedModel`.
    """

    def __init__(self, model: Any, config: OptimizerConfig, *, total_steps: int, merge: bool | None = None):
        self.model = model
        self.packed = PackedModel(model, merge=merge)
        self.parameters = trainable_parameters(model)
        self._config = config
        self._total_steps = total_steps
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=config.learning_rate,
            betas=(config.adam_beta1, config.adam_beta2),
            weight_decay=config.weight_decay,
        )
        self._good: tuple[list[Tensor], dict[str, Any]] | None = None

    def learning_rate(self, step: int) -> float:
        """Learning rate of a step, counted from 1."""
        config = self._config
        if step <= config.warmup_steps:
            return config.learning_rate * step / config.warmup_steps
        done = (step - config.warmup_steps) / max(1, self._total_steps - config.warmup_steps)
        match config.lr_schedule:
            case "constant":
                return config.learning_rate
            case "linear":
                return config.learning_rate * max(0.0, 1 - done)
            case "cosine":
                return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def clip_gradients(self) -> float:
        """Scale gradients down to the configured norm; returns their global L2 norm before that."""
        return float(torch.nn.utils.clip_grad_norm_(self.parameters, self._config.max_grad_norm))

    def update(self, step: int) -> None:
        """One optimizer step; what was good before it is kept for `roll_back`."""
        self._good = ([p.detach().clone() for p in self.parameters], _copy_state(self.optimizer.state_dict()))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        self.optimizer.step()
        self.discard_gradients()

    def discard_gradients(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)

    def is_finite(self) -> bool:
        """No parameter of the adapter is NaN or infinite."""
        return all(bool(torch.isfinite(parameter).all()) for parameter in self.parameters)

    def roll_back(self) -> None:
        """Return to the state before the last update, if there was one; gradients are dropped."""
        self.discard_gradients()
        if self._good is None:
            return
        values, state = self._good
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)
        self.optimizer.load_state_dict(_copy_state(state))

    @contextmanager
    def as_reference(self) -> Iterator[None]:
        """Inside the block the model is the reference: adapter off, or the adapter training started from."""
        if REFERENCE in self.model.peft_config:
            self.model.set_adapter(REFERENCE)
            try:
                yield
            finally:
                self.model.set_adapter("default")
        else:
            with self.model.disable_adapter():
                yield


def _copy_state(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "state": {
            key: {name: value.clone() if isinstance(value, Tensor) else value for name, value in entry.items()}
            for key, entry in state["state"].items()
        },
        "param_groups": [dict(group) for group in state["param_groups"]],
    }
