"""The parts of `make bench` that need no training: reading what the sides leave, pairing, and honest words."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import bench  # noqa: E402
import gsm8k_reward  # noqa: E402
import sides  # noqa: E402
import trl_side  # noqa: E402
from sides import Evaluated, Extent, Round, Training  # noqa: E402
from tasks import GSM8K, Task, gsm8k_task  # noqa: E402

from tuneward.config import parse_config  # noqa: E402
from tuneward.models.memory import peak_resident_bytes  # noqa: E402

TASK = Task("/models/small", "train.jsonl", "validation.jsonl", "reward.py", threads=2)


def step(number: int, *, rollout: float, waiting: float, update: float, whole: float) -> dict[str, Any]:
    timing = {"seconds_rollout": rollout, "seconds_reward": waiting, "seconds_update": update, "seconds_step": whole}
    return {
        "kind": "step", "step": number, "reward_mean": number / 10, "completion_length_mean": 20.0, "timing": timing,
    }  # fmt: skip


def evaluation(number: int, exact: float) -> dict[str, Any]:
    return {"kind": "evaluation", "step": number, "exact": exact, "reward_mean": exact, "timing": {"seconds": 500.0}}


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    """A run of four steps: the first takes over the rollout of the check before training."""
    records = [
        evaluation(0, 0.0),
        {"kind": "preflight", "step": 0, "prompts": 8},
        step(1, rollout=4.0, waiting=1.0, update=3.0, whole=3.01),
        step(2, rollout=4.0, waiting=0.0, update=2.0, whole=6.5),
        evaluation(2, 0.5),
        {"kind": "event", "step": 2, "code": "checkpoint", "message": "saved"},
        step(3, rollout=3.0, waiting=0.5, update=2.0, whole=5.5),
        step(4, rollout=3.0, waiting=0.0, update=2.0, whole=5.0),
        evaluation(4, 0.9),
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def training(seconds: list[float], *evaluations: Evaluated, peak: int | None = 2**30) -> Training:
    return Training(seconds, [0.2] * len(seconds), [24.0] * len(seconds), list(evaluations), peak)


def named(rounds: list[Round], *, has_goal: bool = True) -> dict[str, bench.Figure]:
    return {figure["name"]: figure for figure in bench.demo_figures(rounds, has_goal=has_goal)}


def test_the_first_step_counts_the_rollout_made_before_it_and_no_other_step_counts_one_twice(metrics: Path) -> None:
    assert sides.read_metrics(metrics).seconds == pytest.approx([8.01, 6.5, 5.5, 5.0])


def test_time_to_the_goal_is_training_time_without_evaluations(metrics: Path) -> None:
    ours = sides.read_metrics(metrics)
    assert ours.seconds_to(0.9) == pytest.approx(8.01 + 6.5 + 5.5 + 5.0)
    assert ours.seconds_to(0.5) == pytest.approx(8.01 + 6.5)
    assert ours.seconds_to(0.95) is None


def test_a_result_of_the_trl_side_reads_as_the_same_kind_of_training() -> None:
    read = sides.read_trl(
        {
            "steps": [{"seconds": 60.0, "reward_mean": 0.1, "completion_length_mean": 30.0}],
            "evaluations": [{"step": 1, "exact": 0.25, "elapsed_training_seconds": 60.0, "seconds": 9.0}],
        }
    )
    assert read == Training([60.0], [0.1], [30.0], [Evaluated(1, 0.25, 60.0)])


def test_both_sides_are_given_the_same_numbers() -> None:
    extent = Extent(our_steps=50, trl_steps=10, has_goal=True)
    ours = parse_config(sides.our_config(TASK, extent, Path("/runs/ours"), seed=3))
    peer = trl_side.Spec(**sides.trl_spec(TASK, extent, seed=3))
    assert (ours.model, str(ours.data.train), str(ours.data.validation), str(ours.reward.file)) == (
        peer.model, peer.train, peer.validation, peer.reward_file,
    )  # fmt: skip
    for name in ("prompts_per_step", "samples_per_prompt", "max_completion_tokens", "learning_rate"):
        assert getattr(ours.training, name) == getattr(peer, name) == getattr(TASK, name)
    assert (ours.lora.r, ours.lora.alpha, ours.threads, ours.run.seed) == (
        peer.lora_r, peer.lora_alpha, peer.threads, peer.seed,
    )  # fmt: skip
    assert (ours.evaluation.every_steps, ours.evaluation.max_rows) == (peer.evaluate_every, peer.eval_max_rows)
    assert ours.evaluation.stop_at_exact is None, "both sides make all their steps"
    assert (ours.training.max_steps, peer.steps) == (50, 10)
    assert ours.evaluation.preflight_prompts == ours.training.prompts_per_step


def test_speeds_are_compared_over_the_steps_that_both_sides_made() -> None:
    found = named([Round(training([10.0, 20.0, 1.0, 1.0]), training([60.0, 120.0]))], has_goal=False)
    speed = found["steps_per_minute_demo"]
    assert (speed["ours"], speed["peer"]) == (pytest.approx(4.0), pytest.approx(2 / 3))
    assert speed["ratio"] == pytest.approx(6.0)
    assert found["seconds_per_step_median"]["ratio"] == pytest.approx(15 / 90)


def test_at_most_ten_steps_are_compared() -> None:
    assert bench.compared_steps([Round(training([1.0] * 30), training([1.0] * 12))]) == 10


def test_the_ratio_over_rounds_is_the_median_of_the_ratios_within_rounds() -> None:
    # By hand: ours 6, 3 and 4 steps a minute, the peer's 3, 1 and 0.5: ratios 2, 3 and 8, while medians give 4 / 1.
    rounds = [Round(training([10.0]), training([20.0])), Round(training([20.0]), training([60.0]))]
    rounds.append(Round(training([15.0]), training([120.0])))
    speed = named(rounds)["steps_per_minute_demo"]
    assert speed["ratio"] == pytest.approx(3.0)
    assert (speed["ours"], speed["peer"]) == (pytest.approx(4.0), pytest.approx(1.0))


def test_times_have_a_ratio_only_when_both_sides_reached_the_goal() -> None:
    ours = training([10.0] * 4, Evaluated(0, 0.0, 0.0), Evaluated(4, 0.95, 40.0))
    reached = training([60.0] * 4, Evaluated(2, 0.5, 120.0), Evaluated(4, 0.92, 240.0))
    both = named([Round(ours, reached)])["time_to_90"]
    assert (both["ours"], both["peer"], both["ratio"]) == (40.0, 240.0, pytest.approx(1 / 6))


def test_a_peer_that_was_stopped_before_the_goal_is_null_and_the_table_says_how_far_it_came() -> None:
    ours = training([10.0] * 4, Evaluated(4, 0.95, 40.0))
    rounds = [Round(ours, training([61.0] * 2, Evaluated(2, 0.4, 122.0)))]
    found = bench.demo_figures(rounds, has_goal=True)
    times = next(figure for figure in found if figure["name"] == "time_to_90")
    assert (times["ours"], times["peer"], times["ratio"]) == (40.0, None, None)
    table = bench.results_table(found, {"demo": rounds}, has_goal=True)
    assert "| `time_to_90` | 40 | not reached in 2 steps (122 s) | – | s of training | lower |" in table


def test_ours_short_of_the_goal_has_no_figure_and_the_table_says_so_too() -> None:
    peer = training([60.0], Evaluated(1, 0.9, 60.0))
    rounds = [Round(training([10.0], Evaluated(1, 0.2, 10.0)), peer)]
    assert "time_to_90" not in named(rounds)
    table = bench.results_table(bench.demo_figures(rounds, has_goal=True), {"demo": rounds}, has_goal=True)
    assert "| `time_to_90` | not reached in 1 steps (10 s) | 60 | – |" in table


def test_a_goal_missed_in_one_of_two_rounds_is_not_averaged_away() -> None:
    hit, missed = training([60.0], Evaluated(1, 0.9, 60.0)), training([70.0], Evaluated(1, 0.8, 70.0))
    ours = training([10.0], Evaluated(1, 0.9, 10.0))
    rounds = [Round(ours, hit), Round(ours, missed)]
    assert named(rounds)["time_to_90"]["peer"] is None
    assert bench.missed([hit, missed]) == "not reached in 1 steps (70 s) in 1 of 2 rounds"


def test_nothing_is_said_about_the_goal_when_it_was_not_measured() -> None:
    rounds = [Round(training([10.0]), training([60.0]))]
    found = bench.demo_figures(rounds, has_goal=False)
    assert "time_to_90" not in bench.results_table(found, {"demo": rounds}, has_goal=False)


def test_unknown_memory_leaves_its_figure_out() -> None:
    assert "peak_memory" not in named([Round(training([1.0], peak=None), training([1.0], peak=None))])


def test_rounds_take_turns_in_going_first_and_share_a_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    order: list[tuple[str, int]] = []
    limits: list[float | None] = []

    def ours(*_: object, seed: int) -> Training:
        order.append(("ours", seed))
        return training([1.0])

    def peer(*_: object, seed: int, limit_s: float | None) -> tuple[Training, dict[str, str]]:
        order.append(("peer", seed))
        limits.append(limit_s)
        return training([2.0]), {"trl": "1"}

    monkeypatch.setattr(bench, "train_ours", ours)
    monkeypatch.setattr(bench, "train_trl", peer)
    rounds, known = bench.measure(TASK, Extent(1, 1, has_goal=False), 3, tmp_path)
    assert order == [("ours", 0), ("peer", 0), ("peer", 1), ("ours", 1), ("ours", 2), ("peer", 2)]
    assert [(one.ours.seconds, one.peer.seconds) for one in rounds] == [([1.0], [2.0])] * 3
    assert known == {"trl": "1"}
    assert limits == [None] * 3
    bench.measure(TASK, Extent(1, 1, has_goal=False, patience=4.0), 2, tmp_path)
    assert limits[3:] == [4.0, 4.0]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every part measured at once: our steps take 10 s, the peer's 60 s. Answers where the results go."""
    ours, peer = training([10.0] * 3, Evaluated(2, 0.9, 20.0)), training([60.0] * 3, Evaluated(2, 0.1, 120.0))
    ours.bound_fractions = [0.5, 0.6, 0.7]
    (tmp_path / "python").touch()
    monkeypatch.setattr(bench, "TRL_PYTHON", tmp_path / "python")
    monkeypatch.setattr(bench, "resolve", lambda name: tmp_path / name)
    monkeypatch.setattr(bench, "gsm8k_task", lambda *_, **__: TASK)
    monkeypatch.setattr(bench, "measure", lambda *_, **__: ([Round(ours, peer)], {"trl": "1.2.3"}))
    figure = {"name": "decode", "ours": 30.0, "peer": 10.0, "ratio": 3.0, "unit": "tokens/s"}
    monkeypatch.setattr(bench, "measure_decode", lambda _: figure)
    return tmp_path / "bench.json"


def test_the_results_file_has_figures_machine_and_versions(
    measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.py", "--out", str(measured), "--work", str(measured.parent / "work")])
    assert bench.main() == 0
    result = json.loads(measured.read_text())
    assert set(result) == {"figures", "machine", "versions"}
    assert all(list(figure) == ["name", "ours", "peer", "ratio", "unit"] for figure in result["figures"])
    found = {figure["name"]: figure for figure in result["figures"]}
    told = set(bench.BETTER) - {"validation_exact"}  # no evaluation after the last compared step
    assert set(found) == told
    assert found["gsm8k"]["ratio"] == pytest.approx(6.0)
    assert found["bound_fraction"]["ours"] == pytest.approx(0.6)
    assert result["versions"]["trl"] == "1.2.3"
    kept = json.loads((measured.parent / "bench-runs.json").read_text())
    assert kept["demo"][0]["peer"]["seconds"] == [60.0] * 3
    printed = capsys.readouterr().out
    assert "not reached in 3 steps (180 s)" in printed
    assert all(f"| `{name}` |" in printed for name in told)


def test_single_parts_can_be_asked_for(measured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.py", "decode", "--out", str(measured)])
    assert bench.main() == 0
    assert [figure["name"] for figure in json.loads(measured.read_text())["figures"]] == ["decode"]


@pytest.mark.parametrize("arguments", [["nonsense"], ["decode", "--docs"], ["--quick", "--docs"]])
def test_what_cannot_be_asked_for_is_refused(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        bench.main()


def sample(answer: str, reference: object) -> dict[str, object]:
    return {"messages": [{"role": "assistant", "content": answer}], "reference_answer": reference}


def test_the_gsm8k_reward_wants_the_last_number_and_gives_every_group_a_signal() -> None:
    right, wrong = "So 3 + 4 = 7. #### 1,007", "So 3 + 4 = 7."
    assert gsm8k_reward.score(sample(right, {"text": "1007"})) >= 1
    assert gsm8k_reward.score(sample(right, "1007")) >= 1
    assert gsm8k_reward.score(sample(wrong, "1007")) < 1
    assert gsm8k_reward.score(sample(wrong * 5, "1007")) != gsm8k_reward.score(sample(wrong, "1007"))


@pytest.mark.skipif(not GSM8K.is_dir(), reason="the shared GSM8K folder is not beside the repository")
def test_long_prompts_have_contexts_of_their_own(tmp_path: Path) -> None:
    task = gsm8k_task("m", 2, tmp_path, context_characters=3000)
    prompts = [json.loads(line)["messages"][0]["content"] for line in Path(task.train).read_text().splitlines()]
    assert len(prompts) == 64
    assert all(3000 < len(prompt) < 6000 for prompt in prompts)
    assert len({prompt[200:1000] for prompt in prompts}) == 64


@pytest.mark.parametrize("missing", ["environment", "model"])
def test_what_is_missing_is_told_in_one_sentence(
    missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    if missing == "model":
        python.touch()
    monkeypatch.setattr(bench, "TRL_PYTHON", python)
    monkeypatch.setenv("TUNEWARD_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["bench.py"])
    assert bench.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert {"environment": "scripts/setup_env.py --trl", "model": "tuneward models pull"}[missing] in line


def test_a_side_that_fails_is_told_with_the_last_line_it_printed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "import sys; print('no space left'); sys.exit(3)"]
    with pytest.raises(sides.BenchError, match="TRL ended with exit status 3: no space left"):
        sides.run_program("TRL", command, log, log, lambda _: None)


def test_whole_lines_are_told_once_as_a_file_grows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log"
    assert sides._tell_news(file, 0, str.upper) == 0
    file.write_text("one\ntw")
    shown = sides._tell_news(file, 0, str.upper)
    file.write_text("one\ntwo\n")
    assert sides._tell_news(file, shown, str.upper) == 2
    assert capsys.readouterr().out.split() == ["ONE", "TWO"]


def test_a_side_that_is_stopped_for_its_slowness_gives_a_bound() -> None:
    stopped = Training(peak_memory_bytes=2**31, stopped_after_s=240.0)
    rounds = [Round(training([30.0]), stopped)]
    found = bench.workload_figures("long_prompt", rounds)
    speed, memory, length = found
    assert (speed["ours"], speed["peer"], speed["ratio"]) == (2.0, 0.25, 8.0)
    assert (memory["peer"], length["peer"], length["ratio"]) == (2048.0, None, None)
    table = bench.results_table(found, {"long_prompt": rounds}, has_goal=False)
    assert "| `long_prompt` | 2 | below 0.25 | above 8.00 | steps/min | higher |" in table


def test_a_program_is_stopped_at_its_limit(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "import time; print('step 1', flush=True); time.sleep(600)"]
    with pytest.raises(sides.TookTooLongError) as stop:
        sides.run_program("TRL", command, log, log, lambda _: None, limit_s=0.5)
    assert stop.value.peak_memory_bytes is None or stop.value.peak_memory_bytes > 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_peak_memory_outlives_what_was_freed() -> None:
    block = bytearray(64 << 20)
    block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
    del block
    assert peak_resident_bytes(os.getpid()) > 64 << 20
    assert peak_resident_bytes(2**22 + 1) == 0


def test_results_replace_only_what_stands_between_the_marks() -> None:
    document = f"before\n{bench.TABLE_BEGIN}\n\nold\n\n{bench.TABLE_END}\nafter\n"
    once = bench.replace_results(document, "new")
    assert once == f"before\n{bench.TABLE_BEGIN}\n\nnew\n\n{bench.TABLE_END}\nafter\n"
    assert bench.replace_results(once, "new") == once
    with pytest.raises(ValueError, match="missing"):
        bench.replace_results("no marks", "new")


def test_the_document_has_the_marks_and_explains_every_figure() -> None:
    document = bench.DOCUMENT.read_text(encoding="utf-8")
    bench.replace_results(document, "")
    method, _, _ = document.partition(bench.TABLE_BEGIN)
    assert [name for name in bench.BETTER if f"`{name}`" not in method] == []
