"""What a run keeps of its rollouts, and how it is read."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import Outcome, ToyJob
from tests.faults.small_disk import fill, small_disk
from tests.kept_rollouts import CALL, keep_rollouts, keeper, rollout_of, text_of

from tuneward.errors import RunError
from tuneward.models.chat import ChatTokenizer
from tuneward.runs.rollout_reader import GroupQuery, RolloutReader
from tuneward.runs.sinks import read_records
from tuneward.runs.token_pieces import piece_lengths

WRITER = """
import sys
from pathlib import Path
from tests.kept_rollouts import keeper, rollout_of

made = keeper(Path(sys.argv[1]))
for step in range(1, 100_000):
    made.keep(step, [rollout_of(step, {row: (0.0, 1.0, 0.5) for row in range(8)})], [0.0] * 24)
    print(step, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "rollouts.db"


def rows_of(reader: RolloutReader, **query: Any) -> list[str]:
    return [group["row"] for group in reader.groups(GroupQuery(**query))[0]]


def test_a_group_is_read_as_it_was_sampled(path: Path) -> None:
    keep_rollouts(path, steps=2)
    found = RolloutReader(path).group(2, "row-1", with_tokens=True)
    assert found is not None
    assert (found["row"], found["line"], found["preview"]) == ("row-1", 2, "What is 1 + 1?")
    assert found["prompt"] == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 1?"}],
        "reference_answer": "2",
        "metadata": {"topic": "sums"},
        "tools": [],
    }
    first, _, last = found["data"]
    assert (first["text"], first["reward"], first["advantage"]) == (text_of(2, 1, 0), 0.1, 1.0)
    assert (first["metrics"]["right"], first["components"]) == (0.1, ["right"])
    assert (first["finish_reason"], first["end"], first["tokens"]) == ("stop", "<|0|>", len(first["text"]) + 1)
    assert first["receipt"]["stdout_tail"] == "graded\n"
    assert first["details"] == {"reasons": "because of 0"}
    assert (last["finish_reason"], last["end"], last["reward"]) == ("length", "", None)
    assert (last["receipt"]["verdict"], last["verdict"]) == ("error", "error")
    for sample in found["data"]:
        assert "".join(sample["pieces"]) == sample["text"]
        assert sample["logprobs"] == [-0.25 * (1 + place % 4) for place in range(sample["tokens"])]
        assert sample["logprob"] == sum(sample["logprobs"])


def test_samples_of_a_large_group_come_in_pages(path: Path) -> None:
    with closing(keeper(path)) as made:
        made.keep(1, [rollout_of(1, {0: tuple(index / 40 for index in range(40))})], [0.0] * 40)
    reader, seen = RolloutReader(path), []
    while page := reader.group(1, "row-0", after=len(seen), limit=16):
        seen += [sample["index"] for sample in page["data"]]
        if not page["has_more"]:
            break
    assert seen == list(range(40))


def test_steps_tell_what_their_groups_were_like(path: Path) -> None:
    keep_rollouts(path, steps=3, rows=4)
    steps, count = RolloutReader(path).steps(most=100)
    assert ([step["step"] for step in steps], count) == ([0, 1, 2, 3], 4)
    last = steps[-1]
    assert (last["groups"], last["samples"], last["mixed"], last["failed"], last["truncated"]) == (4, 12, 1, 1, 4)
    rewards = [0.0, 0.0, 0.0, 0.1, 0.1, 1.1, 0.2, 0.2, 0.2, 0.3, 0.3]
    assert last["reward_mean"] == pytest.approx(sum(rewards) / len(rewards))
    assert (last["reward_min"], last["reward_max"]) == (0.0, 1.1)


def test_long_runs_are_thinned_from_their_first_step_to_their_last(path: Path) -> None:
    keep_rollouts(path, steps=40, rows=1)
    steps, count = RolloutReader(path).steps(most=10)
    assert count == 41
    assert len(steps) <= 11
    assert (steps[0]["step"], steps[-1]["step"]) == (0, 40)


def test_a_step_has_neighbours(path: Path) -> None:
    reader = RolloutReader(path)
    assert reader.step(None) is None
    with closing(keeper(path)) as made:
        for step in (1, 4, 9):
            made.keep(step, [rollout_of(step, {0: (0.0, 1.0)})])
    found = {step: reader.step(step) for step in (None, 1, 4, 5)}
    assert found[5] is None
    assert [(one["step"], one["previous"], one["next"]) for one in found.values() if one] == [
        (9, 4, None),
        (1, None, 4),
        (4, 1, 9),
    ]


def test_groups_are_sorted_filtered_and_searched(path: Path) -> None:
    with closing(keeper(path)) as made:
        groups = {3: (0.5, 0.5), 0: (0.0, 1.0), 2: (0.9, 0.7), 1: (math.nan, 0.1)}
        made.keep(1, [rollout_of(1, groups)])
    reader = RolloutReader(path)
    assert rows_of(reader, step=1) == ["row-0", "row-1", "row-2", "row-3"]
    assert rows_of(reader, step=1, sort="reward") == ["row-2", "row-3", "row-0", "row-1"]
    assert rows_of(reader, step=1, sort="lowest") == ["row-1", "row-3", "row-0", "row-2"]
    assert rows_of(reader, step=1, sort="spread")[:2] == ["row-0", "row-2"]
    assert rows_of(reader, step=1, only="mixed") == ["row-0", "row-2"]
    assert rows_of(reader, step=1, only="same") == ["row-1", "row-3"]
    assert rows_of(reader, step=1, only="failed") == ["row-1"]
    assert rows_of(reader, step=1, search="IS 3 +") == ["row-3"]
    assert rows_of(reader, step=1, search="row 2, SAMPLE 1") == ["row-2"]
    assert rows_of(reader, step=1, search="%") == []


def test_pages_of_a_step_hold_every_group_once(path: Path) -> None:
    with closing(keeper(path)) as made:
        made.keep(1, [rollout_of(1, dict.fromkeys(range(23), (0.0, 0.0)))])
    reader, seen, has_more = RolloutReader(path), [], True
    while has_more:
        page, has_more = reader.groups(GroupQuery(step=1, sort="reward", after=len(seen), limit=5))
        seen += [group["row"] for group in page]
    assert sorted(seen) == sorted(f"row-{row}" for row in range(23))


def test_the_history_of_a_row_has_its_best_and_worst_answer_of_each_step(path: Path) -> None:
    keep_rollouts(path, steps=3)
    first, has_more = RolloutReader(path).history("row-0", limit=2)
    assert has_more
    rest, has_more = RolloutReader(path).history("row-0", after=first[-1]["step"], limit=2)
    assert not has_more
    assert [entry["step"] for entry in first + rest] == [0, 1, 2, 3]
    failed, _ = RolloutReader(path).history("row-1", limit=1)
    assert failed[0]["rewards"] == [0.1, 0.1, None]
    assert failed[0]["best"]["text"] == text_of(0, 1, 0)
    assert RolloutReader(path).history("row-9")[0] == []


def test_validation_prompts_are_kept_apart_from_training_rows_of_the_same_id(path: Path) -> None:
    keep_rollouts(path, steps=1)
    reader = RolloutReader(path)
    found = reader.prompts(["row-100", "row-0"], "validation")
    assert set(found) == {"row-100"}
    assert found["row-100"]["messages"][-1]["content"] == "What is 100 + 1?"
    assert reader.group(1, "row-100") is None


def test_a_run_that_keeps_none_has_none(tmp_path: Path) -> None:
    reader = RolloutReader(tmp_path / "rollouts.db")
    assert reader.steps(most=10) == ([], 0)
    assert reader.groups(GroupQuery(step=1)) == ([], False)
    assert reader.group(1, "row-0") is None
    assert not (tmp_path / "rollouts.db").exists()


def test_steps_after_a_checkpoint_are_removed_and_done_again(path: Path) -> None:
    keep_rollouts(path, steps=5)
    with closing(keeper(path)) as made:
        made.remove_after(3)
        made.keep(4, [rollout_of(4, {0: (0.0, 1.0)})])
        made.flush()
    reader = RolloutReader(path)
    assert [step["step"] for step in reader.steps(most=100)[0]] == [0, 1, 2, 3, 4]
    assert rows_of(reader, step=4) == ["row-0"]
    with closing(sqlite3.connect(path)) as database:
        assert len({database.execute(f"SELECT count(*) FROM {name}").fetchone() for name in ("groups", "bodies")}) == 1


def test_what_a_grader_says_is_kept_whatever_it_is(path: Path) -> None:
    rollout = rollout_of(1, {0: (0.0, 1.0)})
    odd = {"half": "\ud800", "number": math.nan, "nul": "a\0b", "large": 10**40, "deep": [[{"x": math.inf}]]}
    scores = [dataclasses.replace(score, details=odd) for score in rollout.scores[0]]
    with closing(keeper(path)) as made:
        made.keep(1, [dataclasses.replace(rollout, scores=(tuple(scores),))])
        made.flush()
    found = RolloutReader(path).group(1, "row-0")
    assert found is not None
    details = found["data"][0]["details"]
    assert details == {"half": "?", "number": None, "nul": "a\0b", "large": 10**40, "deep": [[{"x": None}]]}


def test_samples_of_one_call_share_their_receipt_on_disk(path: Path) -> None:
    long = dataclasses.replace(CALL, verdict=CALL.verdict, stdout_tail=os.urandom(20_000).hex())
    rollout = rollout_of(1, {0: (0.0,) * 32})
    scores = tuple(dataclasses.replace(score, receipt=long) for score in rollout.scores[0])
    with closing(keeper(path)) as made:
        made.keep(1, [dataclasses.replace(rollout, scores=(scores,))])
        made.flush()
    assert path.stat().st_size < 100_000


def test_a_full_disk_is_told_and_room_mends_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk, closing(keeper(disk / "rollouts.db")) as made:
        made.keep(1, [rollout_of(1, {0: (0.0, 1.0)})])
        made.flush()
        filling = fill(disk)
        made.keep(2, [rollout_of(2, dict.fromkeys(range(400), (0.0, 1.0)))])
        with pytest.raises(RunError, match=r"rollouts cannot be written \(.*full\); free some space"):
            made.flush()
        filling.unlink()
        made.remove_after(1)
        made.keep(2, [rollout_of(2, {0: (0.0, 1.0)})])
        made.flush()
        assert [step["step"] for step in RolloutReader(disk / "rollouts.db").steps(most=9)[0]] == [1, 2]


def test_a_damaged_file_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(RunError, match="cannot be read"):
        RolloutReader(path).steps(most=10)
    with closing(keeper(path)) as made, pytest.raises(RunError, match="cannot be written"):
        made.remove_after(0)


def test_a_killed_writer_leaves_whole_steps(path: Path) -> None:
    path.parent.mkdir()
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}) as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < 20:
            pass
        writer.send_signal(signal.SIGKILL)
    reader = RolloutReader(path)
    steps, count = reader.steps(most=10_000)
    assert count >= 18  # the newest may not have been written yet
    assert [step["step"] for step in steps] == list(range(1, count + 1))
    newest = reader.group(count, "row-7", with_tokens=True)
    assert newest is not None
    assert len(newest["data"]) == 3


def test_readers_see_whole_steps_while_a_run_writes(path: Path) -> None:
    keep_rollouts(path, steps=0)
    reader, problems, is_over = RolloutReader(path), [], threading.Event()

    def read() -> None:
        while not is_over.is_set():
            step = reader.step(None)
            assert step is not None
            groups, _ = reader.groups(GroupQuery(step=step["step"], search="row"))
            if len(groups) != step["groups"]:
                problems.append((step, groups))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    with closing(keeper(path)) as made:
        for step in range(1, 40):
            made.keep(step, [rollout_of(step, dict.fromkeys(range(8), (0.0, 1.0)))])
        made.flush()
    is_over.set()
    for thread in readers:
        thread.join()
    assert not problems
    assert reader.steps(most=100)[1] == 40


def test_a_page_takes_the_same_memory_of_a_short_and_of_a_long_run(path: Path) -> None:
    def peak() -> int:
        tracemalloc.start()
        reader = RolloutReader(path)
        reader.steps(most=50)
        reader.groups(GroupQuery(step=50, search="row"))
        reader.group(50, "row-1", with_tokens=True)
        reader.history("row-1", limit=20)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    keep_rollouts(path, steps=60)
    peak()  # what is made only once
    short = peak()
    with closing(keeper(path)) as made:
        for step in range(61, 500):
            made.keep(step, [rollout_of(step, {0: (0.0, 1.0), 1: (1.0, 0.0)})])
    assert peak() < 1.3 * short


@pytest.fixture(scope="module")
def tokenizer(tiny_chat_model: Path) -> ChatTokenizer:
    return ChatTokenizer.load(tiny_chat_model)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pieces_of_any_tokens_join_to_the_text(tokenizer: ChatTokenizer, data: st.DataObject) -> None:
    some = st.one_of(
        st.lists(st.integers(0, len(tokenizer.tokenizer) - 1), max_size=40),
        st.text(max_size=20).map(lambda text: tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"]),
    )
    ids = data.draw(some)
    text = tokenizer.decode(ids)
    lengths = piece_lengths(tokenizer, ids, text)
    assert len(lengths) == len(ids)
    assert sum(lengths) == len(text)
    assert min(lengths, default=0) >= 0


def test_the_parts_of_a_character_write_nothing_but_the_last(tokenizer: ChatTokenizer) -> None:
    ids = tokenizer.tokenizer("a漢b", add_special_tokens=False)["input_ids"]
    assert piece_lengths(tokenizer, ids, "a漢b") == [1, 0, 0, 1, 1]


def test_a_text_that_its_tokens_did_not_write_is_one_piece(tokenizer: ChatTokenizer) -> None:
    ids = tokenizer.tokenizer("abc", add_special_tokens=False)["input_ids"]
    assert piece_lengths(tokenizer, ids, "something else") == [0, 0, 14]


def test_a_run_keeps_what_its_records_tell_of_and_learns_the_same(cli: Callable[..., Outcome], toy_job: ToyJob) -> None:
    assert cli("train", toy_job.config()).code == 0
    records = [record for record in read_records(toy_job.run / "metrics.jsonl") if record["kind"] == "step"]
    reader = RolloutReader(toy_job.run / "rollouts.db")
    base, *steps = reader.steps(most=100)[0]
    assert (base["step"], base["groups"]) == (0, 2)
    assert [step["step"] for step in steps] == [record["step"] for record in records]
    for step, record in zip(steps, records, strict=True):
        assert step["reward_mean"] == pytest.approx(record["reward_mean"])
        assert step["groups"] - step["mixed"] == round(record["zero_signal_share"] * step["groups"])
        for card in reader.groups(GroupQuery(step=step["step"]))[0]:
            group = reader.group(step["step"], card["row"], with_tokens=True)
            assert group is not None
            assert all("".join(sample["pieces"]) == sample["text"] for sample in group["data"])
            assert abs(sum(sample["advantage"] for sample in group["data"])) < 1e-3
    evaluated = [json.loads(line) for line in (toy_job.run / "evaluations" / "step-000000.jsonl").open()]
    assert set(reader.prompts([row["id"] for row in evaluated], "validation")) == {row["id"] for row in evaluated}

    adapter = (toy_job.run / "adapter" / "adapter_model.safetensors").read_bytes()
    assert cli("train", toy_job.config(run={"name": "silent", "keep_rollouts": False})).code == 0
    silent = toy_job.run.with_name("silent")
    assert not (silent / "rollouts.db").exists()
    assert (silent / "adapter" / "adapter_model.safetensors").read_bytes() == adapter
