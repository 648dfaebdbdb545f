"""Running the rules: over a whole history, or step by step without repeating itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tuneward.advise.history import History
from tuneward.advise.limits import Advice, AdviceLimits
from tuneward.advise.rules import RULES
from tuneward.records import Record


def advise(history: Iterable[Record], limits: AdviceLimits | None = None) -> list[Advice]:
    """Everything the rules have to say about a run as it stands after these records, most pressing first."""
    return _apply(History.of(history), limits or AdviceLimits())


class Advisor:
    """Watches a run and says each thing when it newly arises.

    A diagnosis is said again only after it was absent for `limits.quiet_steps` steps, so a number that hovers
    around its threshold does not fill the screen.
    """

    def __init__(self, limits: AdviceLimits | None = None) -> None:
        self._limits = limits or AdviceLimits()
        self._history = History()
        self._last_seen: dict[str, int] = {}
        """Code → step at which it was last present."""

    def observe(self, record: Record) -> list[Advice]:
        """Take in a record; returns what is new. Only step and evaluation records change anything."""
        if record.get("kind") not in ("step", "evaluation"):
            return []
        self._history = self._history.and_then(record)
        step = int(record["step"])
        present = _apply(self._history, self._limits)
        fresh = [advice for advice in present if self._is_new(advice.code, step)]
        self._last_seen |= {advice.code: step for advice in present}
        return fresh

    def _is_new(self, code: str, step: int) -> bool:
        last = self._last_seen.get(code)
        return last is None or step - last > self._limits.quiet_steps

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on after a restart, as JSON values of bounded size."""
        history = self._history
        return {
            "start": [dict(record) for record in history.start],
            "steps": [dict(record) for record in history.steps],
            "evaluations": [dict(record) for record in history.evaluations],
            "base": history.base and dict(history.base),
            "last_seen": dict(self._last_seen),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state from `state_dict`."""
        start, steps, evaluations = (tuple(state[name]) for name in ("start", "steps", "evaluations"))
        self._history = History(start, steps, evaluations, state.get("base"))
        self._last_seen = dict(state["last_seen"])


def _apply(history: History, limits: AdviceLimits) -> list[Advice]:
    return [advice for rule in RULES if (advice := rule(history, limits))]
