"""Rules that turn a run's numbers into words: what is seen, and what to try."""

from tuneward.advise.advisor import Advisor, advise
from tuneward.advise.history import History
from tuneward.advise.limits import Advice, AdviceLimits, Severity
from tuneward.advise.preflight import preflight_advice
from tuneward.advise.rules import RULES

__all__ = ["RULES", "Advice", "AdviceLimits", "Advisor", "History", "Severity", "advise", "preflight_advice"]
