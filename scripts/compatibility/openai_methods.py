"""Every method of OpenAI's client: found in the client itself, called, and what came of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import openai
from openai._resource import SyncAPIResource
from pydantic import ValidationError
from scripts.compatibility.openai_recipes import RECIPES
from scripts.compatibility.outcome import Outcome, refusal
from scripts.compatibility.world import World

AT_THE_CLIENT = (
    "beta.agents.environments.files.prepare",
    "beta.agents.environments.files.prepare_directory",
    "beta.agents.sessions.artifacts.for_result",
    "webhooks.unwrap",
    "webhooks.verify_signature",
)
"""Ask no server."""
NULL_BY_CONTRACT = ("hyperparameters",)
"""Of a job by reinforcement; the client's type has no place for null. Source: OpenAI RFT contract, 3.5."""
ANYTHING: dict[str, Any] = {
    "image": ("file.png", b"x"),
    "video": ("file.mp4", b"x"),
    "files": [("file.txt", b"x")],
    "path": "/workspace/x",
    "input": "x",
}
"""Arguments that clients look at before they ask a server."""
SOCKETS = ".connect"
"""The end of methods that open a web socket."""


def names(client: openai.OpenAI) -> list[str]:
    """All methods that ask a server, such as `fine_tuning.jobs.create`."""
    return [name for name, _method in _methods(client, "") if name not in AT_THE_CLIENT]


def call_all(world: World, chosen: Callable[[str], bool]) -> Iterator[Outcome]:
    """Call the methods that are chosen by name."""
    for name, method in _methods(world.openai, ""):
        if name not in AT_THE_CLIENT and chosen(name):
            yield _outcome(world, name, method)


def recipe_of(name: str) -> str:
    """Under which name it stands in the recipes: beta has some methods again."""
    return name.removeprefix("beta.")


def _methods(resource: Any, prefix: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(type(resource)):
        if name.startswith(("_", "with_")):
            continue
        found = inspect.getattr_static(type(resource), name)
        if not callable(found) or hasattr(found, "func"):
            inner = getattr(resource, name)
            if isinstance(inner, SyncAPIResource):
                yield from _methods(inner, f"{prefix}{name}.")
        elif prefix:
            yield f"{prefix}{name}", getattr(resource, name)


def _outcome(world: World, name: str, method: Callable[..., Any]) -> Outcome:
    recipe = RECIPES.get(recipe_of(name))
    if name.endswith(SOCKETS):
        return Outcome(name, "absent")
    try:
        if recipe:
            _read(method(**recipe.arguments(world)))
        else:
            _call_with_anything(method)
    except Exception as error:  # whatever else a client says of an answer is the finding
        answer = error if isinstance(error, openai.APIStatusError) else error.__cause__
        if isinstance(answer, openai.APIStatusError):
            body = answer.body if isinstance(answer.body, dict) else {}
            return refusal(name, answer.status_code, str(body.get("message")), is_supported=recipe is not None)
        return Outcome(name, "broken", f"{type(error).__name__}: {error}")
    if recipe is None:
        return Outcome(name, "broken", "works, but has no recipe that says how it is to be called")
    return Outcome(name, "works", recipe.note)


def _read(answer: Any) -> None:
    """Read an answer to its end and compare all of it with what the client's types say."""
    if isinstance(answer, openai.BaseModel) and not hasattr(answer, "get_next_page"):
        _check(answer)
    elif hasattr(answer, "__enter__"):
        with answer as parts:
            for part in parts if hasattr(parts, "__iter__") else ():
                _read(part)
    elif hasattr(answer, "get_next_page"):
        for item in answer:
            _read(item)


def _check(answer: openai.BaseModel) -> None:
    try:
        type(answer).model_validate(answer.to_dict(mode="json", warnings=False))
    except ValidationError as error:
        wrong = [one for one in error.errors() if not _is_known(one["loc"], one["input"])]
        if wrong:
            raise ValueError(f"{type(answer).__name__}: {wrong}") from None


def _is_known(place: tuple[str | int, ...], value: Any) -> bool:
    is_the_clients_own = place[0] == "snapshot" or place[-1] == "parsed"  # what helpers make of answers
    return is_the_clients_own or (place[-1] in NULL_BY_CONTRACT and value is None)


def _call_with_anything(method: Callable[..., Any]) -> None:
    """Call with something for every argument that a method must have."""
    parameters = inspect.signature(method).parameters
    given = {p.name: _something(p.name, str(p.annotation)) for p in parameters.values() if p.default is p.empty}
    try:
        _open(method(**given))
    except TypeError as error:  # a method with several forms names what each must have
        form = re.search(r"Expected either \(([^)]*)\)", str(error))
        if form is None:
            raise
        more = {name: _something(name, str(parameters[name].annotation)) for name in re.findall(r"'(\w+)'", form[1])}
        _open(method(**given | more))


def _open(answer: Any) -> None:
    """Some helpers ask the server only when they are entered."""
    if hasattr(answer, "__enter__"):
        with answer:
            pass


def _something(name: str, annotation: str) -> Any:
    if name in ANYTHING:
        return ANYTHING[name]
    if "FileTypes" in annotation:
        return ("file.txt", b"x")
    if "Iterable" in annotation or "Sequence" in annotation or "List" in annotation:
        return []
    if annotation == "int":
        return 1
    return "x" if annotation.startswith("str") or "Literal" in annotation or "Union" in annotation else {}
