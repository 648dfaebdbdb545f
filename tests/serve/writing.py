"""Makes a served model write a given text: everything else, from request to answer, stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from llguidance import LLMatcher

from tuneward.engine.serving.grammar import Grammar
from tuneward.serve import inference


@contextmanager
def writes(text: str) -> Iterator[None]:
    """Inside the block every model's answer is this text."""
    source = LLMatcher.grammar_from_regex(re.escape(text).replace("\\\n", "\\n").replace("\\ ", " "))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            inference, "grammar_of", lambda _format, maker: Grammar(source, maker._vocabulary_now(), reserve=0)
        )
        yield
