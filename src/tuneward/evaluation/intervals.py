"""How far a measured mean or share may be from the true one: 95 % intervals, cheap enough for each point of a curve."""

from __future__ import annotations

import math
from functools import lru_cache

from scipy.special import ndtri, stdtrit

CONFIDENCE = 0.95

Interval = tuple[float, float]
"""Low and high end."""


def mean_interval(mean: float, std: float, n: int) -> Interval | None:
    """Student's interval of a mean of `n` independent values; None for fewer than two.

    Args:
        std: sample standard deviation of the values (ddof 1).
        n: number of independent values. Completions of one prompt are not independent, so whoever counts prompts
            instead of completions gets an interval that is rather too wide than too narrow.
    """
    if n < 2:
        return None
    reach = _t_quantile(n - 1) * std / math.sqrt(n)
    return mean - reach, mean + reach


def share_interval(share: float, n: int) -> Interval | None:
    """Wilson's score interval of a share of `n` independent cases; None without any.

    Unlike the interval of a mean it has a width at 0 and 1, and never leaves them.

    Source: Wilson 1927; Agresti & Coull, The American Statistician 52(2), 1998.
    """
    if n < 1:
        return None
    z = _Z
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(max(0.0, share * (1 - share) / n) + z * z / (4 * n * n))
    return max(0.0, centre - reach), min(1.0, centre + reach)


_Z = float(ndtri((1 + CONFIDENCE) / 2))


@lru_cache(maxsize=1024)
def _t_quantile(degrees: int) -> float:
    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))
