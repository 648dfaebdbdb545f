"""How much of a step is held in memory at once: chosen from the model, the job and what is available."""

from __future__ import annotations

from dataclasses import dataclass

from tuneward.engine.forward import PackedModel

LEAST_TOKENS, USUAL_TOKENS = 256, 512
"""Micro-batches smaller than the first waste a CPU; larger than the second they gain next to nothing."""
GRADIENT_SHARE, RECORD_SHARE = 1 / 2, 1 / 4
"""Shares of the available memory for a micro-batch's activations, and for what sampling leaves to the update."""


@dataclass(frozen=True, slots=True)
class StepSize:
    """The largest step a job can make."""

    prompts: int
    samples_per_prompt: int
    longest_prompt: int
    longest_completion: int

    @property
    def group_tokens(self) -> int:
        """Distinct tokens of one group at most."""
        return self.longest_prompt + self.samples_per_prompt * self.longest_completion


def token_budget(model: PackedModel, size: StepSize, available_bytes: int | None) -> int:
    """Distinct tokens per micro-batch.

    A whole group if it fits, since every micro-batch that shares a group computes its prompt again. The estimate
    counts what a decoder layer keeps for its backward pass and the fp32 logits with their gradient.
    """
    config = model.model.config.get_text_config()  # type: ignore[operator, union-attr]
    hidden, layers = config.hidden_size, config.num_hidden_layers
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    bytes_per_token = 4 * (layers * (16 * hidden + 6 * inner) + 2 * config.vocab_size)
    affordable = int((available_bytes or 8 << 30) * GRADIENT_SHARE / bytes_per_token)
    return max(LEAST_TOKENS, min(affordable, max(USUAL_TOKENS, size.group_tokens)))


def record_tokens(model: PackedModel, size: StepSize, available_bytes: int | None) -> int:
    """Tokens whose layer outputs sampling keeps for the update, see `ForwardRecord`; 0 when the model cannot."""
    if not model.record_bytes_per_token:
        return 0
    affordable = int((available_bytes or 8 << 30) * RECORD_SHARE / model.record_bytes_per_token)
    return min(affordable, size.prompts * size.group_tokens)
