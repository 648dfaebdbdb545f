"""One packed forward for everything: prefill, decode and training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tuneward.engine.attention import ATTENTION, Plan, register
from tuneward.engine.lora_linear import TrainingLayers
from tuneward.engine.merged import SamplingWeights
from tuneward.engine.record import ForwardRecord, Replay

register()


class PackedModel:
    """A causal language model run on a flat list of tokens, without padding.

    Args:
        model: loaded with attention implementation `ATTENTION`; a bare model or one wrapped by peft.
        merge: whether sampling may make merged copies of the weights; None decides by the memory available now.
    """

    def __init__(self, model: Any, *, merge: bool | None = None):
        self.model: nn.Module = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.device = next(self.model.parameters()).device
        self._sampling = SamplingWeights(model, merge=merge)
        self._training = TrainingLayers(model)

    @property
    def record_bytes_per_token(self) -> int:
        """Memory that a `ForwardRecord` takes per token; 0 when this model's layers cannot be recorded and replayed."""
        return self._sampling.output_bytes if self._training.count else 0

    def merged(self, record: ForwardRecord | None = None) -> AbstractContextManager[None]:
        """For sampling: inside the block the adapter is merged into repacked copies of the weights.

        Args:
            record: keeps what the layers compute, for an update of this very policy.
        """
        return self._sampling.active(record)

    @contextmanager
    def as_the_library_has_it(self) -> Iterator[None]:
        """For checks: inside the block `model` runs with its own attention and layers, knowing nothing of ours."""
        self.model.set_attn_implementation("eager")  # type: ignore[operator]
        try:
            with self._training.stepping_aside():
                yield
        finally:
            self.model.set_attn_implementation(ATTENTION)  # type: ignore[operator]

    def logits(
        self,
        tokens: NDArray[np.int64],
        positions: NDArray[np.int64],
        plan: Plan,
        rows: Tensor,
        replay: Replay | None = None,
    ) -> Tensor:
        """Logits at some of the packed tokens; the head runs on those alone.

        Args:
            tokens: [n] token ids.
            positions: [n] position of each token in its own sequence.
            plan: which earlier tokens each one sees.
            rows: [r] int64 packed indices whose logits are wanted.
            replay: what sampling has computed of these tokens; taken over where gradients are on.

        Returns:
            [r, vocabulary] in the model's dtype.
        """
        with self._training.replaying(replay):
            out: Tensor = self.model(
                input_ids=torch.from_numpy(tokens).to(self.device)[None],
                position_ids=torch.from_numpy(positions).to(self.device)[None],
                use_cache=False,
                logits_to_keep=rows,
                plan=plan,
            ).logits
        return out.squeeze(0)  # unlike out[0], its backward pass does not copy the logits' gradient
