"""Graders of the OpenAI API: parsed, validated, run once for the API or over a whole run."""

from __future__ import annotations

from tuneward.rewards.openai.grader import OpenAIGrader
from tuneward.rewards.openai.parse import InvalidGraderError, echo, parse_grader
from tuneward.rewards.openai.service import run_grader, validate_grader
from tuneward.rewards.openai.spec import GraderSpec

__all__ = ["GraderSpec", "InvalidGraderError", "OpenAIGrader", "echo", "parse_grader", "run_grader", "validate_grader"]
