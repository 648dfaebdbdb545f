"""Code that is not trusted: no network, no secrets, a read-only system, and nothing of it outlives the call."""

from tuneward.rewards.sandbox.run import ProgramRun, run_python

__all__ = ["ProgramRun", "run_python"]
