"""How the native libraries below torch and tokenizers behave in our processes. Set before they are loaded."""

from __future__ import annotations

import os

SPINS, SPINS_SHARING = "10000", "1000"
"""Turns for which torch's threads wait in a loop. By default so many that a job and a server slow each other up to
thirtyfold. A process alone is fastest with the first, by a tenth where few rows are decoded; see docs/benchmarks.md."""
KEPT_PRODUCTS = "32"
"""Prepared products that oneDNN and torch's layer above it keep, 1,024 each by default. Every number of rows needs its
own, of about 0.6 MB, and the numbers differ from pass to pass: 2,400 of them held 1.4 GB."""


def settle(*, is_alone: bool) -> None:
    """Set what the environment leaves open; processes started from here inherit it.

    Args:
        is_alone: False where others compute on the same cores: chats beside a job.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS if is_alone else SPINS_SHARING)
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KEPT_PRODUCTS)
    os.environ.setdefault("LRU_CACHE_CAPACITY", KEPT_PRODUCTS)
    # Reward processes are started while its threads would live.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
