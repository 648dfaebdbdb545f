"""The test of the reward at the start of a run: what a run would show only after hours, in a few calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuneward.config import RewardConfig
from tuneward.errors import GraderError
from tuneward.records import Record
from tuneward.rewards.bench import AGAINST_REFERENCES, BenchReport, Finding, Outcome, bounds_of, nature_of, quick_bench
from tuneward.types import Grader, Row


def check_reward(
    grader: Grader, rows: Sequence[Row], config: RewardConfig, write: Callable[[Record], None]
) -> BenchReport:
    """Run the quick form of the bench; warnings become records of step 0.

    Args:
        grader: what the run trains on.
        rows: the training rows.
        config: says whether the grader is a rule or a model.
        write: takes the records.

    Raises:
        GraderError: nothing can be scored, scores are not finite, or a rule scores the same differently.
    """
    report = quick_bench(grader, rows, nature=nature_of(config), bounds=bounds_of(config))
    for check, finding in report.having(Outcome.FAIL).items():
        raise GraderError(f"{grader.name} cannot be trained on ({check}): {_words(finding)}")
    warnings = report.having(Outcome.WARN)
    for check, finding in warnings.items():
        # Where references earn too little, everything that is measured against them would repeat it.
        if check not in AGAINST_REFERENCES or "reference_maximum" not in warnings:
            code = f"reward_{check}"
            write({"kind": "warning", "step": 0, "code": code, "severity": "warning", "message": _words(finding)})
    passed = len(report.having(Outcome.PASS))
    message = (
        f"{passed} of {len(report.findings)} quick checks of the reward passed on {report.rows} rows; "
        "`tuneward rewards test` makes all of them"
    )
    write({"kind": "event", "step": 0, "code": "reward_checked", "message": message})
    return report


def _words(finding: Finding) -> str:
    example = f" For example {finding.example.sentence()}." if finding.example else ""
    return f"{finding.message} {finding.advice}{example}"
