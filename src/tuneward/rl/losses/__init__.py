"""Policy losses, one file each. A new loss is a file, a line here and its name in `config.LossName`."""

from __future__ import annotations

from tuneward.config import LossName
from tuneward.rl.losses.base import Loss, LossBatch, LossShare, StepTotals
from tuneward.rl.losses.cispo import cispo
from tuneward.rl.losses.dapo import dapo
from tuneward.rl.losses.dr_grpo import dr_grpo
from tuneward.rl.losses.grpo import grpo
from tuneward.rl.losses.gspo import gspo

LOSSES: dict[LossName, Loss] = {"dapo": dapo, "dr_grpo": dr_grpo, "grpo": grpo, "gspo": gspo, "cispo": cispo}

__all__ = ["LOSSES", "Loss", "LossBatch", "LossShare", "StepTotals"]
