"""Outcomes → docs/compatibility.md."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence

import boto3
import openai
from scripts.compatibility.outcome import Outcome

_LEGEND = """\
# What the clients can do here

Every method of OpenAI's Python client and every operation of boto3's `bedrock`, `bedrock-runtime` and `lambda` was
called on a running server; this page is what came of it. `make docs` calls them again and writes it.

- **works**: the call does what it is for, and its answer has the form that the client's own types ask for.
- **refused**: the server says that it does not offer this, and what to do instead.
- **absent**: status 404, `Nothing here answers …`. Web sockets (`connect`) are absent; they alone were not called.
"""
_TITLES = {"openai": "OpenAI", "bedrock": "Bedrock", "bedrock-runtime": "Bedrock runtime", "lambda": "AWS Lambda"}


def versions() -> str:
    """The line of the page that names the clients."""
    return f"Called with openai {openai.__version__} and boto3 {boto3.__version__}."


def page(outcomes: dict[str, list[Outcome]]) -> str:
    """The page.

    Args:
        outcomes: of all methods, by client: `openai` or the name of a service.

    Raises:
        ValueError: a call that came to nothing a client can use; there is no word for it on the page.
    """
    if broken := [f"{one.method}: {one.said}" for one in itertools.chain(*outcomes.values()) if one.kind == "broken"]:
        raise ValueError("\n".join(["These calls are broken:", *broken]))
    rows = [_counts(_TITLES[client], found) for client, found in outcomes.items()]
    head = [_LEGEND, versions(), "", "| client | works | refused | absent |", "|---|---|---|---|", *rows]
    return "\n".join([*head, *itertools.chain(*(_section(*both) for both in outcomes.items()))]) + "\n"


def working_lines(text: str) -> list[str]:
    """The lines of a page that say what works."""
    parts = text.split("\n| works | |\n|---|---|\n")[1:]
    return [line for part in parts for line in part.split("\n\n")[0].splitlines()]


def _counts(title: str, outcomes: list[Outcome]) -> str:
    counts = [sum(one.kind == kind for one in outcomes) for kind in ("works", "refused", "absent")]
    return f"| [{title}](#{title.lower().replace(' ', '-')}) | {' | '.join(map(str, counts))} |"


def _section(client: str, outcomes: list[Outcome]) -> list[str]:
    names = _resources(outcomes) if client == "openai" else _operations
    lines = ["", f"## {_TITLES[client]}", "", "| works | |", "|---|---|"]
    lines += [f"| `{one.method}` | {one.said} |" for one in outcomes if one.kind == "works"]
    refused = [one for one in outcomes if one.kind == "refused"]
    lines += ["", "| refused | what the server says |", "|---|---|"]
    for reason in dict.fromkeys(_reason(one) for one in refused):
        lines.append(f"| {names([one.method for one in refused if _reason(one) == reason])} | {reason} |")
    if absent := [one.method for one in outcomes if one.kind == "absent"]:
        lines += ["", f"Absent: {names(absent)}."]
    return lines


def _reason(one: Outcome) -> str:
    """Without the operation's own name, so that what is refused for one reason stands in one line."""
    reason = re.sub(rf"^(\w+ or )?{one.method}( or \w+)? is not offered: ", "", one.said)
    return reason[0].upper() + reason[1:]


def _operations(methods: Iterable[str]) -> str:
    return ", ".join(f"`{method}`" for method in methods)


def _resources(outcomes: list[Outcome]) -> Callable[[Sequence[str]], str]:
    """Names methods by their resource, where all of its methods are among them."""
    every = [one.method for one in outcomes]

    def names(methods: Sequence[str]) -> str:
        said: dict[str, None] = {}
        for method in methods:
            parts = method.split(".")
            wholes = (".".join(parts[:size]) + "." for size in range(1, len(parts)))
            whole = next((one for one in wholes if _is_all(one, every, methods)), None)
            said[f"{whole}*" if whole else method] = None
        return _operations(said)

    return names


def _is_all(prefix: str, every: Sequence[str], some: Sequence[str]) -> bool:
    within = [method for method in every if method.startswith(prefix)]
    return len(within) > 1 and set(within) <= set(some)
