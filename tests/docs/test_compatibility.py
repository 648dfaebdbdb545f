"""What docs/compatibility.md says of the clients' methods is what calling them comes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scripts.compatibility import aws_methods, openai_methods
from scripts.compatibility.__main__ import PAGE, everything
from scripts.compatibility.aws_recipes import RECIPES as AWS
from scripts.compatibility.openai_recipes import RECIPES as OPENAI
from scripts.compatibility.outcome import Outcome, refusal
from scripts.compatibility.page import page, versions, working_lines
from scripts.compatibility.world import World, running

from tuneward.serve.openai import jobs


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("compatibility")) as made:
        yield made


def broken(outcomes: list[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one.kind != "works"]


def test_every_method_of_openais_client_that_is_supported_works(world: World) -> None:
    outcomes = list(openai_methods.call_all(world, lambda name: name in OPENAI))
    assert {one.method for one in outcomes} == set(OPENAI)
    assert not broken(outcomes)


@pytest.mark.parametrize("service", aws_methods.SERVICES)
def test_every_operation_of_awss_clients_that_is_supported_works(world: World, service: str) -> None:
    outcomes = list(aws_methods.call_all(world, service, AWS[service].__contains__))
    assert {one.method for one in outcomes} == set(AWS[service])
    assert not broken(outcomes)


@pytest.mark.slow
def test_the_page_is_current(tmp_path: Path) -> None:
    committed = PAGE.read_text(encoding="utf-8")
    with running(tmp_path) as fresh:
        written = page(everything(fresh))
    if versions() in committed:
        assert committed == written, "run make docs (compatibility.md)"
    else:  # other versions of the clients have other methods; what is promised still has to work
        assert set(working_lines(committed)) <= set(working_lines(written))


def test_the_page_promises_what_the_recipes_call() -> None:
    lines = working_lines(PAGE.read_text(encoding="utf-8"))
    promised = {line.split("`")[1].removeprefix("beta.") for line in lines}
    assert promised == set(OPENAI).union(*AWS.values()), "run make docs (compatibility.md)"


@pytest.mark.parametrize(
    ("status", "message", "is_supported", "kind"),
    [
        (404, "Nothing here answers GET /v1/decisions.", False, "absent"),
        (404, "Audio is not offered: …", False, "refused"),
        (400, "Evaluation jobs are not supported: …", False, "refused"),
        (404, "No file file-1 here.", False, "broken"),
        (404, "Audio is not offered: …", True, "broken"),
        (500, "Audio is not offered: …", False, "broken"),
    ],
)
def test_an_error_counts_as_a_refusal_only_when_it_says_so(
    status: int, message: str, is_supported: bool, kind: str
) -> None:
    assert refusal("method", status, message, is_supported=is_supported).kind == kind


def test_no_page_is_made_of_broken_calls() -> None:
    works = Outcome("files.list", "works")
    with pytest.raises(ValueError, match=r"files\.list: 500"):
        page({"openai": [works, replace(works, kind="broken", said="500: …")]})


def test_a_resource_whose_methods_share_a_reason_takes_one_line() -> None:
    said = "Evals are not offered: …"
    outcomes = [Outcome(f"evals.{name}", "refused", said) for name in ("create", "list", "runs.list")]
    text = page({"openai": [*outcomes, Outcome("files.list", "works"), Outcome("files.copy", "refused", said)]})
    assert f"| `evals.*`, `files.copy` | {said} |" in text
    assert working_lines(text) == ["| `files.list` |  |"]


def test_an_answer_of_another_form_than_the_clients_types_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "job_bodies", lambda *_, **__: [{"id": 1, "object": "fine_tuning.job"}])
    (found,) = openai_methods.call_all(world, lambda name: name == "fine_tuning.jobs.list")
    assert found.kind == "broken"
    assert "created_at" in found.said
