"""`POST /api/preflight` on a tiny model: answers, scores, checks, and what goes wrong, as events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.service import app_with
from tests.serving import start_engine

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.config import ServedModelConfig, ServerConfig
from tuneward.rewards.functions.archive import pack_file
from tuneward.serve.catalog import ServedModel
from tuneward.serve.server import Server, bind
from tuneward.serve.services import Services

LETTERS = """
import json

def lambda_handler(event, context):
    def share(text):
        return sum(c.isascii() and c.isalpha() for c in text) / max(1, len(text))
    return [{"id": s["id"], "aggregate_reward_score": share(s["messages"][-1]["content"])} for s in event]
"""
BROKEN = "def lambda_handler(event, context):\n    print('before')\n    raise ValueError('<b>no</b> idea')\n"
SLOW = "import time\ndef lambda_handler(event, context):\n    time.sleep(60)\n    return []\n"


class Place:
    """A server with a tiny model, rows and reward functions."""

    def __init__(self, services: Services, url: str):
        self.services, self.url = services, url
        self.training = self.upload([f"Say {'a ' * i}" for i in range(20)])

    def upload(self, prompts: list[str], project: str = DEFAULT_PROJECT) -> dict[str, str]:
        rows = [{"messages": [{"role": "user", "content": prompt}], "reference_answer": prompt} for prompt in prompts]
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        file = self.services.files.add(project, purpose="fine-tune", filename="t.jsonl", content=[content])
        return {"kind": "file", "file_id": file.id}

    def register(self, name: str, code: str) -> None:
        registry = self.services.functions(DEFAULT_PROJECT)
        registry.create(name, pack_file("lambda_function.py", code.encode()), handler="lambda_function.lambda_handler")

    def body(self, **changes: Any) -> dict[str, Any]:
        config = {"reward": {"function": "letters"}, "training": {"max_completion_tokens": 6}}
        return {"model": "tiny", "training": self.training, "config": config, "prompts": 4, "samples": 3} | changes

    def events(self, **changes: Any) -> list[tuple[str, dict[str, Any]]]:
        with httpx.stream("POST", f"{self.url}/api/preflight", json=self.body(**changes), timeout=60) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = list(answer.iter_lines())
        names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        return list(zip(names, data, strict=True))

    def result(self, **changes: Any) -> dict[str, Any]:
        name, data = self.events(**changes)[-1]
        assert name == "result", data
        return data


@pytest.fixture(scope="module")
def place(tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("home")
    config = ServerConfig(models=(ServedModelConfig(name=str(tiny_chat_model), id="tiny"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWARD_FUNCTIONS", str(home / "functions"))
        app = app_with(home, [ServedModel("tiny", start_engine(tiny_chat_model), 1)], config=config)
        with Server(app, bind("127.0.0.1", 0)) as server:
            made = Place(app.state.services, server.url)
            for name, code in (("letters", LETTERS), ("broken", BROKEN), ("slow", SLOW)):
                made.register(name, code)
            yield made


def test_answers_are_scored_and_summed_up(place: Place) -> None:
    events = place.events()
    phases = [data["phase"] for name, data in events if name == "progress"]
    assert list(dict.fromkeys(phases)) == ["rows", "reward", "model", "answers", "checks"]
    assert [data["answered"] for _, data in events[:-1]][-1] == 4
    result = events[-1][1]
    assert (result["prompts"], result["completions"], result["scored"], result["failed"]) == (4, 12, 12, 0)
    assert sum(one["count"] for one in result["histogram"]) == 12
    assert 0 < result["reward_mean"] < 1
    assert result["mixed_groups_share"] > 0
    example = result["examples"][0]
    assert example["prompt"].startswith("Say")
    rewards = [one["reward"] for one in example["completions"]]
    assert len(rewards) == 3
    assert rewards == sorted(rewards, reverse=True)
    assert result["report"]["checks"]
    assert result["verdict"] in ("go", "caution", "stop")
    assert result["headline"]


def test_it_is_the_same_every_time(place: Place) -> None:
    def told() -> Any:
        result = place.result()
        return result["reward_mean"], [one["completions"] for one in result["examples"]]

    assert told() == told()


def test_a_reward_that_fails_is_shown_with_its_receipts(place: Place) -> None:
    config = {"reward": {"function": "broken", "retries": 0}, "training": {"max_completion_tokens": 6}}
    result = place.result(config=config)
    assert (result["verdict"], result["scored"], result["failed"]) == ("stop", 0, 12)
    assert result["reward_mean"] is None
    assert result["advice"][0]["code"] == "grader_failing"
    failure = result["failures"][0]
    assert "no</b> idea" in failure["message"] + failure["receipt"]["stderr"]
    assert len(result["failures"]) == 10


def test_prompts_that_a_job_would_leave_out_are_left_out(place: Place) -> None:
    training = place.upload(["short", "long " * 30, "brief"])
    config = {**place.body()["config"], "data": {"max_prompt_length": 60}}
    result = place.result(training=training, config=config)
    assert (result["prompts"], result["too_long"]) == (2, 1)
    name, data = place.events(training=place.upload(["long " * 30, "long " * 31]), config=config)[-1]
    assert (name, data["error"]["param"]) == ("error", "config.data.max_prompt_length")


def test_what_cannot_be_read_is_said_in_the_stream(place: Place) -> None:
    name, data = place.events(training={"kind": "uri", "uri": "s3://absent/rows.jsonl"})[-1]
    assert name == "error"
    assert data["error"]["message"]


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"method": "supervised", "config": {}}, 400, "method"),
        ({"model": "absent"}, 404, "model"),
        ({"config": {}}, 400, "config.reward"),
        ({"training": {"kind": "file", "file_id": "file-absent"}}, 400, "training.file_id"),
        ({"prompts": 65}, 400, "prompts"),
        ({"samples": 1}, 400, "samples"),
    ],
)
def test_what_cannot_be_tried_is_refused_at_once(place: Place, change: dict[str, Any], status: int, param: str) -> None:
    answer = httpx.post(f"{place.url}/api/preflight", json=place.body(**change))
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_hanging_up_ends_it_and_makes_room_for_others(place: Place) -> None:
    config = {"reward": {"function": "slow", "retries": 0}, "training": {"max_completion_tokens": 6}}
    body = place.body(config=config)
    begun = time.monotonic()
    for _ in range(3):  # more than may run together
        with httpx.stream("POST", f"{place.url}/api/preflight", json=body, timeout=60) as answer:
            for line in answer.iter_lines():
                if '"phase":"answers"' in line:
                    break
        wait_until_free(place)
    assert place.result()["scored"] == 12
    assert time.monotonic() - begun < 60  # one call alone would take as long


def wait_until_free(place: Place) -> None:
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        with httpx.stream("POST", f"{place.url}/api/preflight", json=place.body(), timeout=60) as answer:
            if answer.status_code == 200:
                return
            assert answer.status_code == 429
    raise AssertionError("no place was freed")
