"""Records go in and come out the same, a resumed run's files equal an uninterrupted one's, trackers may fail."""

from __future__ import annotations

import builtins
import csv
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.errors import ConfigError, RunError
from tuneward.runs.sinks import CsvSink, JsonlSink, build_sinks, read_records, rebuild_csv
from tuneward.runs.sinks.forgiving import ForgivingSink

TRAINING, VALIDATION = "step_wise_training_metrics.csv", "validation_metrics.csv"

CONTRACT_COLUMNS = [
    *("step_number", "epoch_number", "training_loss", "perplexity"),
    *("train_reward_mean", "train_reward_min", "train_reward_max", "policy_entropy", "grad_norm", "clip_fraction"),
    *("response_length_mean", "val_reward_mean", "val_response_length_mean"),
]


def step_record(step: int, **numbers: object) -> dict:
    return {
        "kind": "step",
        "step": step,
        "epoch": step / 4,
        "reward_mean": 0.1 * step,
        "loss": -0.01,
        "entropy": 0.5,
        "completion_length_mean": 31.5,
        "timing": {"seconds_step": 2.5},
    } | numbers


def evaluation_record(step: int) -> dict:
    return {"kind": "evaluation", "step": step, "reward_mean": 0.3, "entropy": 0.4, "timing": {"seconds": 1.0}}


def warning_record(step: int) -> dict:
    return {"kind": "warning", "step": step, "code": "truncated", "message": "cut\u2028off"}


RUN = [
    {"kind": "event", "step": 0, "code": "started", "message": "…"},
    evaluation_record(0),
    *(step_record(s) for s in (1, 2)),
    evaluation_record(2),
    warning_record(2),
    step_record(3, **{"metric/format": 0.5, "metric/accuracy": 0.25}),
    step_record(4, grad_norm=0.2),
    evaluation_record(4),
]


def write_all(run_dir: Path, records: list[dict]) -> None:
    sinks = build_sinks((), run_dir, "run", {})
    for record in records:
        for sink in sinks:
            sink.write(record)
    for sink in sinks:
        sink.close()


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


texts = st.text(st.characters(), max_size=20)
plain = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
records = st.fixed_dictionaries(
    {"kind": st.sampled_from(["step", "event"]), "step": st.integers(0, 9)},
    optional={"message": texts, "timing": st.dictionaries(texts, plain, max_size=3)},
)


@settings(max_examples=50, deadline=None)
@given(st.lists(records, max_size=6))
def test_records_come_back_as_they_were(tmp_path_factory, items):
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    sink = JsonlSink(path, sync=False)
    for item in items:
        sink.write(item)
    sink.close()
    assert (read_records(path) if items else []) == items


@settings(max_examples=50, deadline=None)
@given(st.lists(records, min_size=1, max_size=6), st.integers(-1, 10), st.integers(0, 60))
def test_truncating_keeps_earlier_lines_byte_for_byte_whatever_the_tear(tmp_path_factory, items, step, torn):
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    sink = JsonlSink(path, sync=False)
    for item in items:
        sink.write(item)
    lines = path.read_bytes().split(b"\n")[:-1]
    expected = b"".join(line + b"\n" for line, item in zip(lines, items, strict=True) if item["step"] <= step)
    with path.open("ab") as file:
        file.write(b'{"kind":"step","step":0,"reward_mean":0.5,"timing":{"seconds_step":1.5}}'[:torn])
    sink.truncate_after(step)
    assert path.read_bytes() == expected
    assert [p.name for p in path.parent.iterdir()] == ["metrics.jsonl"]


def test_equal_records_are_equal_lines_whatever_the_order_of_keys(tmp_path):
    path = tmp_path / "metrics.jsonl"
    sink = JsonlSink(path)
    sink.write({"kind": "step", "step": 1, "b": 1, "a": 2})
    sink.write({"a": 2, "b": 1, "step": 1, "kind": "step"})
    sink.close()
    first, second = path.read_text().splitlines()
    assert first == second


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    JsonlSink(path).write(step_record(1, loss=math.nan, timing={"seconds_step": math.inf}))
    (record,) = read_records(path)
    assert "loss" not in record
    assert record["timing"] == {}


def test_sink_goes_on_after_truncating(tmp_path):
    path = tmp_path / "metrics.jsonl"
    sink = JsonlSink(path)
    for step in (1, 2, 3):
        sink.write(step_record(step))
    sink.truncate_after(2)
    sink.write(step_record(3, reward_mean=9.0))
    sink.close()
    sink.close()
    assert [record["reward_mean"] for record in read_records(path)] == [0.1, 0.2, 9.0]


def test_a_line_of_zeros_at_the_end_is_a_tear(tmp_path):
    path = tmp_path / "metrics.jsonl"
    JsonlSink(path).write(step_record(1))
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 40 + b"\n")
    assert len(read_records(path)) == 1
    JsonlSink(path).truncate_after(5)
    assert path.read_bytes() == whole


def test_damage_in_the_middle_is_told_with_its_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "step", "step": 1}\n{"kind"\n{"kind": "step", "step": 2}\n')
    with pytest.raises(RunError, match="line 2"):
        JsonlSink(path).truncate_after(1)


def test_missing_records_are_told(tmp_path):
    JsonlSink(tmp_path / "metrics.jsonl").truncate_after(3)
    with pytest.raises(RunError, match=r"metrics\.jsonl"):
        read_records(tmp_path / "metrics.jsonl")


def test_csv_starts_with_the_columns_of_the_contract(tmp_path):
    write_all(tmp_path, RUN)
    assert (tmp_path / TRAINING).read_text().splitlines()[0].split(",")[: len(CONTRACT_COLUMNS)] == CONTRACT_COLUMNS
    header = (tmp_path / VALIDATION).read_text().splitlines()[0].split(",")
    assert header[:4] == ["step_number", "epoch_number", "validation_loss", "perplexity"]


def test_csv_rows_of_one_number_speak_of_the_same_policy(tmp_path):
    write_all(tmp_path, RUN)
    training, validation = read_csv(tmp_path / TRAINING), read_csv(tmp_path / VALIDATION)
    assert [row["step_number"] for row in training] == ["0", "1", "2", "3"]
    assert [row["epoch_number"] for row in training] == ["0", "0", "0", "0"]
    assert [row["step_number"] for row in validation] == ["0", "2", "4"]
    assert [row["val_reward_mean"] for row in training] == ["0.3", "", "0.3", ""]
    assert training[3]["grad_norm"] == "0.2"
    assert training[0]["grad_norm"] == ""
    assert float(training[0]["perplexity"]) == pytest.approx(math.exp(0.5))
    assert training[0]["seconds_step"] == "2.5"
    assert validation[1]["validation_loss"] == ""


def test_epoch_number_counts_from_zero(tmp_path):
    write_all(tmp_path, [step_record(step) for step in range(1, 10)])
    assert [row["epoch_number"] for row in read_csv(tmp_path / TRAINING)] == list("000011112")


def test_csv_columns_grow_with_new_reward_components(tmp_path):
    write_all(tmp_path, RUN)
    rows = read_csv(tmp_path / TRAINING)
    assert [row["metric/format"] for row in rows] == ["", "", "0.5", ""]


@pytest.mark.parametrize("cut", range(len(RUN)))
def test_resumed_files_equal_those_of_an_uninterrupted_run(tmp_path, cut):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    for folder in (whole, resumed):
        folder.mkdir()
    write_all(whole, RUN)
    write_all(resumed, RUN[: cut + 1])
    with (resumed / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "st')
    with (resumed / TRAINING).open("a") as file:
        file.write("7,0,tor")
    done = 2 if cut >= 5 else -1  # the checkpoint of step 2 comes after its last record
    JsonlSink(resumed / "metrics.jsonl").truncate_after(done)
    rebuild_csv(resumed)
    write_all(resumed, RUN[6:] if done == 2 else RUN)
    for name in ("metrics.jsonl", TRAINING, VALIDATION):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_csv_of_a_new_run_has_headers_only(tmp_path):
    CsvSink(tmp_path).close()
    assert read_csv(tmp_path / TRAINING) == []
    assert (tmp_path / VALIDATION).read_text().count("\n") == 1


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_missing_library_says_what_to_install_and_touches_no_file(tmp_path, monkeypatch, name):
    real = builtins.__import__

    def without(module: str, *args, **kwargs):
        if module.split(".")[0] == name:
            raise ImportError(module)
        return real(module, *args, **kwargs)

    monkeypatch.setitem(__import__("sys").modules, name, None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=rf'pip install "tuneward\[{name}\]"'):
        build_sinks([name], tmp_path, "run", {})
    assert list(tmp_path.iterdir()) == []


def test_unknown_sink_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="tensorboard"):
        build_sinks(["tensorbord"], tmp_path, "run", {})


def test_a_tracker_that_fails_does_not_end_the_run(caplog):
    class Unreachable:
        calls = 0

        def write(self, _record):
            self.calls += 1
            raise ConnectionError("no route")

        def close(self):
            raise ConnectionError("no route")

    inner = Unreachable()
    sink = ForgivingSink("wandb", inner)
    sink.write(step_record(1))
    sink.write(step_record(2))
    sink.close()
    assert inner.calls == 1
    assert "no route" in caplog.text
    assert "metrics.jsonl has everything" in caplog.text


def test_tensorboard_reads_back_what_was_written_and_a_resumed_run_replaces(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def sitting(records: list[dict]) -> None:
        sinks = build_sinks(["tensorboard"], tmp_path, "run", {})
        for record in records:
            for sink in sinks:
                sink.write(record)
        for sink in sinks:
            sink.close()

    sitting(RUN)
    JsonlSink(tmp_path / "metrics.jsonl").truncate_after(2)
    sitting([step_record(3, reward_mean=0.75)])
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    scalars = [(event.step, round(event.value, 6)) for event in events.Scalars("train/reward_mean")]
    assert scalars == [(1, 0.1), (2, 0.2), (3, 0.75)]
    assert [event.step for event in events.Scalars("validation/reward_mean")] == [0, 2]
    assert "timing/seconds_step" in events.Tags()["scalars"]


def test_mlflow_gets_numbers_and_a_resumed_run_goes_on_in_the_same_one(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/store")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for step in (1, 2):
        sinks = build_sinks(["mlflow"], tmp_path, "night", {"training": {"epochs": 2}})
        for sink in sinks:
            sink.write(step_record(step))
            sink.close()
    client = mlflow.MlflowClient()
    (experiment,) = [e for e in client.search_experiments() if e.name == "tuneward"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["training.epochs"] == "2"
    assert [m.value for m in client.get_metric_history(run.info.run_id, "train/reward_mean")] == [0.1, 0.2]


def test_wandb_works_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    sinks = build_sinks(["wandb"], tmp_path, "night", {"a": 1})
    for sink in sinks:
        sink.write(step_record(1))
        sink.close()
    assert list((tmp_path / "wandb").glob("offline-run-*"))


def test_records_are_json_objects_one_a_line(tmp_path):
    write_all(tmp_path, RUN)
    lines = (tmp_path / "metrics.jsonl").read_bytes().split(b"\n")
    assert [json.loads(line)["kind"] for line in lines[:-1]] == [record["kind"] for record in RUN]
