"""Estimators of the KL divergence from the reference, per token, from log-probs of sampled tokens."""

from __future__ import annotations

from torch import Tensor


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """log(π / ref): unbiased value, high variance; right inside a reward, without gradient as a loss."""
    return logp - ref_logp


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """½ log²(π / ref): its gradient is that of the on-policy reverse KL."""
    return 0.5 * (logp - ref_logp) ** 2


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """ref / π - log(ref / π) - 1: never negative, low variance.

    Source: Schulman, "Approximating KL divergence", 2020.
    """
    log_ratio = ref_logp - logp
    return log_ratio.exp() - log_ratio - 1
