"""Tests a grader before a model learns from it: `tuneward rewards test`, and a short form at the start of a job."""

from tuneward.rewards.bench.asking import Nature, Sampler
from tuneward.rewards.bench.report import BenchReport, Example, Finding, Outcome
from tuneward.rewards.bench.run import AGAINST_REFERENCES, CHECKS, QUICK_CHECKS, bench_grader, quick_bench
from tuneward.rewards.bench.target import bounds_of, find_target, nature_of, without_cache

__all__ = [
    "AGAINST_REFERENCES",
    "CHECKS",
    "QUICK_CHECKS",
    "BenchReport",
    "Example",
    "Finding",
    "Nature",
    "Outcome",
    "Sampler",
    "bench_grader",
    "bounds_of",
    "find_target",
    "nature_of",
    "quick_bench",
    "without_cache",
]
