"""One thread at a time imports the model libraries.

`transformers` makes its names when they are first asked for. Threads of a server that ask for the first time at once,
one for a tokenizer and one for a model, wait for each other's half-made modules, which Python resolves by showing them
half-made: names are then missing that are there a second later.
"""

from __future__ import annotations

import threading

IMPORTING = threading.RLock()
"""Held around every import from `transformers` and `peft`."""
