"""Validation of whole files: sizes, lengths, repetitions, conflicts and leaks."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.data import Code, DataReport, Severity, checks, problems, validate
from tuneward.data.lengths import MAX_BINS, LengthCounter
from tuneward.data.report import size_class
from tuneward.data.row_kinds import PROMPTS
from tuneward.errors import ModelError
from tuneward.types import Row

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k" / "train.jsonl"


def write(path: Path, prompts: list[str], **fields: Any) -> Path:
    rows = ({"messages": [{"role": "user", "content": text}], "reference_answer": "a", **fields} for text in prompts)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def words(row: Row) -> int:
    return len(row.messages[0]["content"].split())


def check(train: Path, validation: Path | None = None, **options: Any) -> DataReport:
    return validate(train, validation, **{"count_tokens": words, "max_prompt_length": 8, **options})


def found(report: DataReport, code: Code) -> list[tuple[Severity, int]]:
    return [(problem.severity, problem.line) for problem in report.problems if problem.code is code]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (99, [(Severity.WARNING, 0)]),
        (100, [(Severity.INFO, 0)]),
        (199, [(Severity.INFO, 0)]),
        (200, []),
        (10_000, []),
        (10_001, [(Severity.INFO, 0)]),
        (20_001, [(Severity.ERROR, 0)]),
    ],
)
def test_size_guidance_follows_the_contract(tmp_path, rows, expected):
    report = check(write(tmp_path / "t.jsonl", [f"p {n}" for n in range(rows)]), count_tokens=None)
    assert found(report, Code.ROW_COUNT) == expected
    assert report.ok == (rows <= 20_000)


def test_the_upper_limit_counts_both_files(tmp_path):
    few = replace(PROMPTS, max_rows=5)
    train = write(tmp_path / "t.jsonl", ["a", "b", "c"])
    assert check(train, write(tmp_path / "v.jsonl", ["d", "e"]), kind=few).ok
    assert not check(train, write(tmp_path / "w.jsonl", ["d", "e", "f"]), kind=few).ok


def test_size_classes_meet_at_their_borders():
    assert [size_class(n) for n in (99, 100, 200, 5_000, 5_001, 10_001, 20_001)] == [
        "a trial",
        "a pilot",
        "a typical size",
        "a typical size",
        "a size for complex tasks",
        "a very large size",
        "too many",
    ]


def test_duplicates_conflicts_and_leaks_name_their_lines(tmp_path):
    train, validation = tmp_path / "t.jsonl", tmp_path / "v.jsonl"
    rows = [("one", "1"), ("two", "2"), ("one", "1"), ("two", "zwei"), ("Three  times", "3")]
    with train.open("w") as file:
        for prompt, answer in rows:
            row = {"messages": [{"role": "user", "content": prompt}], "reference_answer": answer}
            file.write(json.dumps(row) + "\n")
    report = check(train, write(validation, ["two", "THREE times", "four"]))
    assert (report.train.rows, report.train.duplicates, report.train.conflicts) == (5, 2, 1)
    assert found(report, Code.DUPLICATE) == [(Severity.WARNING, 0), (Severity.INFO, 3)]
    assert found(report, Code.CONFLICT) == [(Severity.WARNING, 4)]
    assert (report.leaks, report.near_leaks) == (1, 1)
    assert found(report, Code.LEAK) == [(Severity.WARNING, 1)]
    assert found(report, Code.NEAR_LEAK) == [(Severity.WARNING, 2)]
    assert report.ok


def test_few_duplicates_are_a_remark_only(tmp_path):
    report = check(write(tmp_path / "t.jsonl", [*(f"p {n}" for n in range(100)), "p 0"]))
    assert found(report, Code.DUPLICATE) == [(Severity.INFO, 101)]


def test_rows_that_differ_in_tools_are_different_prompts(tmp_path):
    path = tmp_path / "t.jsonl"
    with path.open("w") as file:
        for name in ("f", "g"):
            function = {"name": name, "description": "d", "parameters": {"type": "object", "properties": {}}}
            row = {
                "messages": [{"role": "user", "content": "x"}],
                "tools": [{"type": "function", "function": function}],
            }
            file.write(json.dumps(row) + "\n")
    assert check(path).train.duplicates == 0


def test_a_missing_validation_file_is_announced_and_a_small_one_remarked(tmp_path):
    train = write(tmp_path / "t.jsonl", ["a"])
    assert "held out" in next(p.message for p in check(train).problems if p.code is Code.VALIDATION)
    report = check(train, write(tmp_path / "v.jsonl", ["b"]))
    assert found(report, Code.VALIDATION) == [(Severity.INFO, 0)]


@pytest.mark.parametrize(
    ("short", "long", "severities"),
    [
        (200, 0, []),
        (190, 10, []),
        (189, 11, [Severity.WARNING]),
        (99, 1, [Severity.WARNING]),
        (0, 3, [Severity.ERROR]),
    ],
)
def test_dropped_rows_are_reported_and_weigh_by_their_share(tmp_path, short, long, severities):
    prompts = [f"p {n}" for n in range(short)] + [f"{n} " + "word " * 8 for n in range(long)]
    report = check(write(tmp_path / "t.jsonl", prompts))
    assert (report.train.too_long, report.train.usable) == (long, short)
    whole = [severity for severity, line in found(report, Code.TOO_LONG) if not line]
    assert whole == severities
    assert len(found(report, Code.TOO_LONG)) == long + len(severities)
    assert report.ok == (short > 0)


def test_a_row_the_template_refuses_becomes_a_problem_of_its_line(tmp_path):
    def refuse_second(row: Row) -> int:
        if row.line == 2:
            raise ModelError("row row-2: the chat template refuses these messages (no system role).")
        if row.line == 3:
            raise ValueError("odd")
        return 1

    report = check(write(tmp_path / "t.jsonl", ["a", "b", "c"]), count_tokens=refuse_second)
    assert found(report, Code.TEMPLATE) == [(Severity.ERROR, 2), (Severity.ERROR, 3)]
    assert (report.train.rows, report.train.bad_lines, report.ok) == (1, 2, False)


def test_broken_files_are_findings_and_never_exceptions(tmp_path):
    train = write(tmp_path / "t.jsonl", ["a", "b"])
    report = check(train, tmp_path / "absent.jsonl")
    assert not report.ok
    assert report.train.bad_lines == 0
    assert report.validation.rows == 0
    assert found(report, Code.FILE) == [(Severity.ERROR, 0)]
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["validation"]["rows"] == 0


def test_problems_beyond_the_cap_are_counted_and_errors_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(problems, "MAX_PER_CODE", 3)
    path = tmp_path / "t.jsonl"
    path.write_text((json.dumps({"messages": [{"role": "user", "content": "User: x"}]}) + "\n") * 10 + "{\n" * 10)
    report = check(path)
    kept = Counter(problem.code for problem in report.problems)
    assert kept[Code.JSON] == kept[Code.ROLE_MARKER] == 3
    assert report.counts[Severity.ERROR, Code.JSON] == 10
    assert report.count(Severity.ERROR) == report.train.bad_lines == 10
    assert [problem.severity for problem in report.problems] == sorted(
        (problem.severity for problem in report.problems), key=list(Severity).index
    )


def test_the_summary_of_a_file_is_kept_beside_any_number_of_remarks(tmp_path, monkeypatch):
    monkeypatch.setattr(problems, "MAX_PER_CODE", 2)
    path = tmp_path / "t.jsonl"
    row = {"messages": [{"role": "user", "content": "x"}]}
    path.write_text((json.dumps({**row, "reference_answer": 1}) + "\n") * 5 + json.dumps(row))
    assert found(check(path), Code.REFERENCE) == [(Severity.INFO, 1), (Severity.INFO, 2), (Severity.INFO, 0)]


def test_tracking_stops_at_its_limit_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "MAX_TRACKED_ROWS", 3)
    report = check(write(tmp_path / "t.jsonl", ["a", "b", "c", "d", "d", "a"]))
    assert report.train.duplicates == 1
    assert found(report, Code.UNTRACKED) == [(Severity.INFO, 0)]


def test_rows_without_reference_are_counted(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "x"}]}')
    report = check(path)
    assert report.train.without_reference == 1
    assert found(report, Code.REFERENCE) == [(Severity.INFO, 0)]


@given(lengths=st.lists(st.integers(1, 5000), min_size=2, max_size=200))
def test_length_statistics_agree_with_sorting(lengths):
    counter = LengthCounter()
    for length in lengths:
        counter.add(length)
    summary = counter.summary()
    ordered = sorted(lengths)
    assert summary is not None
    assert (summary.count, summary.minimum, summary.maximum) == (len(lengths), ordered[0], ordered[-1])
    assert summary.mean == pytest.approx(mean(lengths))
    assert summary.p50 == ordered[(len(ordered) + 1) // 2 - 1]
    assert summary.p95 == ordered[-(-95 * len(ordered) // 100) - 1]
    assert quantiles(lengths, n=20, method="inclusive")[18] <= summary.p95 or len(lengths) < 40
    assert len(summary.bins) <= MAX_BINS
    assert [sum(first <= n <= last for n in lengths) for first, last, _ in summary.bins] == [
        n for *_, n in summary.bins
    ]
    assert sum(n for *_, n in summary.bins) == len(lengths)


@settings(deadline=None, max_examples=60)
@given(prompts=st.lists(st.sampled_from(["a", "b", "A", "c d", "c  d", "", "{"]), min_size=1, max_size=12))
def test_counts_agree_with_a_naive_recount(tmp_path_factory, prompts):
    path = tmp_path_factory.mktemp("any") / "t.jsonl"
    lines = ["{" if p == "{" else json.dumps({"messages": [{"role": "user", "content": p}]}) for p in prompts]
    path.write_text("\n".join(lines))
    good = [p for p in prompts if p not in ("", "{")]
    report = check(path, path)
    assert report.train.rows == len(good)
    assert report.train.bad_lines == len(prompts) - len(good)
    assert report.train.duplicates == len(good) - len(set(good))
    assert report.leaks == len(good)
    assert report.ok == (len(good) == len(prompts))
    json.dumps(report.to_json())


@pytest.mark.skipif(not GSM8K.is_file(), reason="the shared GSM8K file is not beside the repository")
def test_converted_school_maths_is_valid(tmp_path):
    with GSM8K.open() as file:
        examples = [json.loads(next(file)) for _ in range(300)]
    path = tmp_path / "gsm8k.jsonl"
    with path.open("w") as file:
        for example in examples:
            answer = example["answer"].rpartition("#### ")[2]
            row = {"messages": [{"role": "user", "content": example["question"]}], "reference_answer": answer}
            file.write(json.dumps(row) + "\n")
    report = check(path, max_prompt_length=1000)
    assert report.ok
    assert (report.train.rows, report.count(Severity.WARNING)) == (300, 0)
    assert report.train.lengths.mean == pytest.approx(mean(len(e["question"].split()) for e in examples))
