"""The report stands alone, shows what is there, survives what is not, and lets no markup through."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tuneward.data import validate
from tuneward.errors import RunError
from tuneward.evaluation.statistics import compare_paired
from tuneward.runs.report import write_report
from tuneward.runs.report_charts import MOST_POINTS, nice_ticks, smooth, thin
from tuneward.runs.report_reading import MOST_SAMPLES, choose_samples, read_run
from tuneward.runs.sinks import JsonlSink
from tuneward.runs.words import duration, duration_range

ATTACK = '<script>alert(1)</script><img src="http://evil.example/x" onerror=alert(1)>'


def synthetic_records(steps: int, seed: int = 0) -> list[dict]:
    """Records of a run that learns, as noisy as small batches are."""
    stream = np.random.default_rng(seed)
    records: list[dict] = [{"kind": "event", "step": 0, "code": "started", "message": f"training {steps} steps"}]
    for step in range(steps + 1):
        done = 1 - math.exp(-3 * step / steps)
        reward, length = 0.25 + 0.5 * done, 60 - 25 * done
        if step:
            records.append(
                {
                    "kind": "step",
                    "step": step,
                    "epoch": step / 20,
                    "reward_mean": float(np.clip(stream.normal(reward, 0.07), 0, 1)),
                    "reward_std": 0.4,
                    "exact": float(np.clip(stream.normal(reward - 0.1, 0.08), 0, 1)),
                    "entropy": float((0.9 - 0.55 * done) * stream.lognormal(0, 0.06)),
                    "completion_length_mean": float(length * stream.lognormal(0, 0.05)),
                    "completion_length_p95": float(length * 2 * stream.lognormal(0, 0.05)),
                    "truncated_share": float(stream.beta(1, 25)),
                    "zero_signal_share": float(np.clip(stream.normal(0.25 + 0.2 * done, 0.1), 0, 1)),
                    "grad_norm": float(0.3 * stream.lognormal(0, 0.4)),
                    "timing": {
                        "seconds_rollout": float(stream.normal(6.5, 0.5)),
                        "seconds_reward": float(stream.exponential(0.4)),
                        "seconds_update": float(stream.normal(4.0, 0.3)),
                        "seconds_step": 11.0,
                    },
                }
            )
        if step % max(1, steps // 6) == 0:
            records.append(
                {
                    "kind": "evaluation",
                    "step": step,
                    "reward_mean": reward - 0.03 + float(stream.normal(0, 0.02)),
                    "exact": reward - 0.12,
                    "entropy": 0.85 - 0.5 * done,
                    "completion_length_mean": length,
                    "kl_ref": 0.05 * done,
                    "timing": {"seconds": 20.0},
                }
            )
    message = "12% of completions in the last 5 steps hit the length limit. Raise training.max_completion_tokens."
    records.append(
        {"kind": "warning", "step": steps // 2, "code": "truncated", "severity": "warning", "message": message}
    )
    records.append(
        {"kind": "event", "step": steps, "code": "new_best", "message": "best validation reward so far: 0.703"}
    )
    records.append({"kind": "event", "step": steps, "code": "stopped", "message": f"all {steps} steps are done"})
    return records


def write_records(folder: Path, records: list[dict]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sink = JsonlSink(folder / "metrics.jsonl", sync=False)
    for record in records:
        sink.write(record)
    sink.close()


def synthetic_run(folder: Path, steps: int = 60) -> Path:
    """A whole run folder."""
    write_records(folder, synthetic_records(steps))
    stream = np.random.default_rng(5)
    before = (stream.uniform(size=120) < 0.28).astype(float)
    after = np.maximum(before * (stream.uniform(size=120) < 0.93), stream.uniform(size=120) < 0.5)
    comparison = compare_paired(before, after, threshold=1.0)
    (folder / "result.json").write_text(
        json.dumps(
            {
                "run": folder.name,
                "model": "smollm2-135m",
                "base": {"exact": comparison.base_exact, "reward": comparison.base_reward},
                "tuned": {"exact": comparison.tuned_exact, "reward": comparison.tuned_reward},
                "p_value": comparison.p_value,
                "steps": steps,
                "best_step": steps,
                "train_seconds": 660.0,
                "total_seconds": 815.5,
                "stopped_because": f"all {steps} steps are done",
                "comparison": comparison.to_json(),
            }
        )
    )
    (folder / "config.yaml").write_text("model: smollm2-135m\ntraining:\n  learning_rate: 0.0001\n")
    (folder / "manifest.json").write_text(
        json.dumps(
            {
                "run": folder.name,
                "created": "2026-11-21T10:00:00Z",
                "versions": {"python": "3.11.9", "tuneward": "0.1.0", "torch": "2.13.0"},
                "model": {"name": "smollm2-135m", "weights": {"model.safetensors": "5af571cbf074" * 5}},
                "data": {"train": {"path": "train.jsonl", "rows": 480, "sha256": "ab" * 32}, "dropped": ["r1", "r2"]},
                "grader": "reward.py@3f2a9c1b",
                "machine": {"processor": "A processor", "cores": 2, "memory_bytes": 24 * 2**30},
            }
        )
    )
    problems = [{"severity": "warning", "line": 17, "message": "the prompt occurs twice"}]
    (folder / "data_report.json").write_text(json.dumps({"rows": 480, "is_usable": True, "problems": problems}))
    samples = [
        {
            "id": f"row-{number}",
            "prompt": [
                {"role": "system", "content": "Answer with a number only."},
                {"role": "user", "content": f"What is {number} + {number * 7}?"},
            ],
            "reference_answer": str(number * 8),
            "base": {"text": f"The sum of {number} and {number * 7} is, I believe, about {number * 9}.", "reward": old},
            "tuned": {"text": f"{number * 8}", "reward": new},
        }
        for number, (old, new) in enumerate(zip(before, after, strict=True))
    ]
    (folder / "samples.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return folder


class Page(HTMLParser):
    """Tags with attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def report_of(folder: Path) -> tuple[str, Page]:
    source = write_report(folder).read_text()
    return source, Page(source)


def test_report_of_a_whole_run_tells_its_story(tmp_path):
    _, page = report_of(synthetic_run(tmp_path / "night"))
    for expected in (
        "The tuned model is better than the base model.",
        "95 % interval",
        "It made 60 steps in 11 min 00 s of training (13 min 36 s with",
        "It ended because all 60 steps are done.",
        "exact McNemar test on exact success: p < 0.001",
        "What is 3 + 21?",
        "12% of completions in the last 5 steps hit the length limit.",
        "warning: line 17: the prompt occurs twice",
        "learning_rate: 0.0001",
        "5af571cbf074",
        "reward.py@3f2a9c1b",
        "24.0 GiB",
    ):
        assert expected in page.text, expected
    titles = {"Reward", "Exact success", "Policy entropy", "Completion length", "Gradient norm", "Lost signal"}
    assert titles | {"Distance from the base model", "Time per step"} <= set(page.words)


def test_report_loads_nothing_from_elsewhere(tmp_path):
    source, page = report_of(synthetic_run(tmp_path / "night"))
    assert not {"script", "link", "img", "iframe", "object", "a"} & {tag for tag, _ in page.tags}
    assert not [attributes for _, attributes in page.tags if {"src", "href"} & attributes.keys()]
    assert "url(" not in source
    assert "@import" not in source
    assert any("default-src 'none'" in (attributes.get("content") or "") for _, attributes in page.tags)


def test_markup_in_foreign_text_stays_text(tmp_path):
    folder = synthetic_run(tmp_path / "night")
    sides = {"base": {"text": ATTACK, "reward": 0.0}, "tuned": {"text": "</div>" + ATTACK, "reward": 1.0}}
    prompt = [{"role": ATTACK, "content": ATTACK}]
    sample = {"id": ATTACK, "prompt": prompt, "reference_answer": {"a": ATTACK}} | sides
    (folder / "samples.jsonl").write_text(json.dumps(sample) + "\n")
    (folder / "config.yaml").write_text(ATTACK)
    for name in ("manifest.json", "data_report.json"):
        (folder / name).write_text(json.dumps({ATTACK: ATTACK, "problems": [{"message": ATTACK}]}))
    result = json.loads((folder / "result.json").read_text()) | {"stopped_because": ATTACK, "model": ATTACK}
    result["comparison"]["sentence"] = result["comparison"]["test"] = ATTACK
    (folder / "result.json").write_text(json.dumps(result))
    write_records(folder, [{"kind": "warning", "step": 60, "code": ATTACK, "severity": '"><b>', "message": ATTACK}])
    source, page = report_of(folder)
    assert "<script" not in source
    assert "<img" not in source
    assert '"><b>' not in source
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert page.text.count("<script>alert(1)</script>") >= 12


def test_metrics_alone_are_enough(tmp_path):
    write_records(tmp_path, synthetic_records(12))
    _, page = report_of(tmp_path)
    assert "no result yet" in page.text
    for absent in ("no comparison yet", "No answers were kept", "no data report", "no config.yaml", "no manifest"):
        assert absent in page.text


def test_empty_and_bare_records_make_a_report(tmp_path):
    (tmp_path / "metrics.jsonl").touch()
    assert "No step has been recorded yet." in report_of(tmp_path)[1].text
    write_records(tmp_path, [{"kind": "step", "step": 1}, {"kind": "evaluation", "step": 1, "reward_mean": 0.5}])
    assert "Reward" in report_of(tmp_path)[1].words


def test_one_step_and_constant_values_make_a_chart(tmp_path):
    write_records(tmp_path, [{"kind": "step", "step": 1, "reward_mean": 0.0, "exact": 0.0, "grad_norm": 0.0}])
    source, _ = report_of(tmp_path)
    assert "nan" not in re.findall(r'points="([^"]*)"', source)[0]


def test_damaged_side_files_are_left_out(tmp_path):
    write_records(tmp_path, synthetic_records(5))
    for name in ("result.json", "manifest.json", "data_report.json", "samples.jsonl"):
        (tmp_path / name).write_text('{"torn": ')
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe")
    assert "no result yet" in report_of(tmp_path)[1].text


def test_comparison_of_nothing_is_told_in_words(tmp_path):
    write_records(tmp_path, synthetic_records(5))
    comparison = compare_paired([math.nan], [1.0], threshold=1.0).to_json()
    (tmp_path / "result.json").write_text(json.dumps({"comparison": comparison, "tuned": None, "best_step": 0}))
    _, page = report_of(tmp_path)
    assert "cannot be compared" in page.text
    assert "not distinguishable from the base model" in page.text


def test_missing_metrics_are_told(tmp_path):
    with pytest.raises(RunError, match=r"metrics\.jsonl"):
        write_report(tmp_path)


def test_long_runs_give_small_reports(tmp_path):
    folder = synthetic_run(tmp_path / "long", steps=500)
    assert write_report(folder).stat().st_size < 400_000
    write_records(tmp_path / "longer", synthetic_records(5000))
    assert write_report(tmp_path / "longer").stat().st_size < 1_000_000


def test_long_answers_are_cut_and_say_so(tmp_path):
    folder = synthetic_run(tmp_path / "night")
    side = {"text": "word " * 50_000, "reward": 0.5}
    (folder / "samples.jsonl").write_text(json.dumps({"id": "x", "prompt": [], "base": side, "tuned": side}) + "\n")
    source, page = report_of(folder)
    assert "248500 more characters" in page.text
    assert len(source) < 300_000


def test_lone_surrogates_and_odd_shapes_do_not_break_it(tmp_path):
    folder = synthetic_run(tmp_path / "night")
    odd = [{"id": 1, "prompt": "text", "base": None, "tuned": {"text": "\ud800", "reward": None}}, {"prompt": [3]}]
    (folder / "samples.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in odd))
    assert "no score" in report_of(folder)[1].text


def test_shown_samples_include_losses_and_unchanged_rows():
    samples = [{"id": n, "base": {"reward": 0.5}, "tuned": {"reward": 0.5 + n / 100}} for n in range(-20, 21)]
    gains = [sample["id"] for sample in choose_samples(samples)]
    assert len(gains) == MOST_SAMPLES
    assert set(gains) >= {20, 19, 18, 17, -20, -19, -18, -17, 0}
    assert len(choose_samples(samples[:3])) == 3


def test_rerunning_replaces_the_report(tmp_path):
    folder = synthetic_run(tmp_path / "night")
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert not list(folder.glob(".*"))


def test_ticks_are_round_and_cover_the_range():
    assert nice_ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1.0]
    assert nice_ticks(0, 0.0) == [0, 0.25, 0.5, 0.75, 1.0]
    assert nice_ticks(-0.3, 0.9)[0] <= -0.3
    assert nice_ticks(0, 1234)[-1] >= 1234


def test_thinning_and_smoothing_keep_the_level():
    points = [(float(step), step / 10) for step in range(2000)]
    thinned = thin(points)
    assert len(thinned) <= MOST_POINTS
    assert sum(value for _, value in thinned) / len(thinned) == pytest.approx(99.95, rel=0.01)
    smoothed = smooth(points)
    assert [step for step, _ in smoothed] == [step for step, _ in points]
    assert smoothed[1000][1] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.42, "0.4 s"), (59.0, "59.0 s"), (125, "2 min 05 s"), (7260, "2 h 01 min"), (100_000, "1 d 4 h")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(12, 31, "12–31 s"), (170, 290, "3–5 min"), (5000, 7600, "1.4–2.1 h"), (181, 184, "3 min")],
)
def test_duration_ranges(low, high, words):
    assert duration_range(low, high) == words


def test_findings_of_the_data_check_are_told_with_place_and_remedy(tmp_path):
    rows = [{"messages": [{"role": "user", "content": f"{n} + 1?"}], "reference_answer": n} for n in (1, 2, 2)]
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"messages": []}\n')
    found = validate(train, count_tokens=None, max_prompt_length=512).to_json()
    (tmp_path / "data_report.json").write_text(json.dumps(found))
    write_records(tmp_path, synthetic_records(3))
    text = report_of(tmp_path)[1].text
    assert "max prompt length" in text
    (error,) = [problem for problem in found["problems"] if problem["severity"] == "error" and problem["line"]]
    assert f"error: {train}, line 4: {error['message']} {error['fix']}" in text


def test_reading_keeps_order(tmp_path):
    run = read_run(synthetic_run(tmp_path / "night"))
    assert [record["step"] for record in run.of_kind("step")] == list(range(1, 61))


def test_parts_and_held_out_scores_have_curves_with_readable_names(tmp_path: Path) -> None:
    records = synthetic_records(30)
    for record in records:
        if record["kind"] in ("step", "evaluation"):
            record |= {"metric/math/steps_right": 2.0, "metric/<b>tone": 0.5, "metric/math": 0.7, "held_out": 0.4}
    write_records(tmp_path, records)
    held_out = {"base_reward": 0.4, "tuned_reward": 0.3, "difference": -0.1, "interval_low": -0.2, "interval_high": 0.0}
    summary = {"base": {"held_out": 0.4}, "tuned": {"held_out": 0.3}, "held_out": held_out}
    (tmp_path / "result.json").write_text(json.dumps(summary))
    page = write_report(tmp_path).read_text()
    titles = re.findall(r"<h3>(.*?)</h3>", page)
    assert titles[2:6] == ["Held-out reward", "&lt;b&gt;tone", "Math", "Math: steps right"]
    assert "gave 0.400 to the base model and 0.300 to the tuned one (-0.100, 95 % interval -0.200 to +0.000)" in page
    assert "Held-out reward, validation" in page


def test_a_reward_with_very_many_metrics_gets_a_dozen_curves(tmp_path: Path) -> None:
    many = {f"metric/part_{n:03}": 1.0 for n in range(100)}
    write_records(tmp_path, [record | many if record["kind"] == "step" else record for record in synthetic_records(20)])
    assert write_report(tmp_path).read_text().count("<h3>Part ") == 12
