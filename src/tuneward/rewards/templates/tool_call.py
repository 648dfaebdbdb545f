"""Does the answer call the right functions with the right arguments?

    part       weight  for each expected call
    name       0.3     the function's name
    arguments  0.2     names of arguments: right ones / (required ones and those given)
    values     0.5     values of arguments: right ones / (required ones and those given); half for 5 written as "5"

A call with another name earns nothing. The score is the mean over the expected calls, or over the given ones if there
are more. Order does not matter. When no call is expected, an answer in plain words is right.

Answers are read as JSON ({"name": …, "arguments": {…}}, a list of those, OpenAI's `tool_calls`, or inside
`<tool_call>…</tool_call>`) or as Python calls ("[f(a=1), g(b=[2])]"), with or without a code fence.

Row: `reference_answer` (or the row's `ground_truth`) is a call, a list of calls, or an object with `ground_truth`. A
call is {"name", "arguments"}, a text "f(a=1)", or {"f": {"a": [accepted values]}} as in the Berkeley leaderboard,
where "" among the accepted values makes the argument optional.

    {"messages": [{"role": "user", "content": "Weather in Oslo, in Celsius?"}],
     "reference_answer": {"name": "get_weather", "arguments": {"city": "Oslo", "unit": "celsius"}}}

Text is compared without case, spaces and punctuation; 5 and 5.0 are the same.

What it cannot see: whether the call would succeed, and arguments given by position (unless the row gives them so too).
"""

import ast
import json
import re
from typing import Any

WEIGHTS = {"name": 0.3, "arguments": 0.2, "values": 0.5}
"""Share of each part in a call's score; together 1."""

WRONG_TYPE = 0.5
"""Value of an argument that is right but for its type, such as "5" for 5."""

MAX_CALLS = 20
"""An answer with more calls than this has none that count."""

MAX_CHARACTERS = 20_000
"""Longer answers are not read."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""

Call = tuple[str, dict[str, Any]]
TAG = re.compile(r"<tool_call>(.*?)(?:</tool_call>|$)", re.DOTALL)
FENCE = re.compile(r"```[a-zA-Z_]*\s*\n(.*?)```", re.DOTALL)
FILLER = re.compile(r"[\s,./\-_*^'\"]+")


class Accepted(list[Any]):
    """Values of which any is right."""


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    wanted = expected(sample)
    text = after_reasoning(completion_of(sample)).strip()
    given = read_calls(text)
    measured = {"calls": float(len(given))}
    if not wanted:
        is_right = bool(text) and not given and not text.startswith(("{", "[", "<"))
        return float(is_right), {"no_call": float(is_right)}, measured
    pairs = [(compare(call, one), i, j) for i, call in enumerate(wanted) for j, one in enumerate(given)]
    totals = dict.fromkeys(WEIGHTS, 0.0)
    matched: set[tuple[str, int]] = set()
    for result, i, j in sorted(pairs, key=lambda pair: -weighed(pair[0])):
        if matched.isdisjoint({("wanted", i), ("given", j)}):
            matched |= {("wanted", i), ("given", j)}
            totals = {name: total + result[name] for name, total in totals.items()}
    parts = {name: total / max(len(wanted), len(given)) for name, total in totals.items()}
    return 1.0 if all(part == 1 for part in parts.values()) else weighed(parts), parts, measured


def weighed(parts: dict[str, float]) -> float:
    """The score of a call from its parts."""
    return sum(WEIGHTS[name] * part for name, part in parts.items())


def expected(sample: dict[str, Any]) -> list[Call]:
    """The calls of a row; values of the leaderboard's form become Accepted."""
    reference = field_of(sample, "reference_answer")
    if isinstance(reference, dict) and "ground_truth" in reference:
        reference = reference["ground_truth"]
    if reference is None:
        reference = field_of(sample, "ground_truth")
    calls: list[Call] = []
    for item in reference if isinstance(reference, list) else [reference]:
        found = read_calls(item) if isinstance(item, str) else [*calls_of(item)] or accepted_calls(item)
        if not found:
            raise ScoringError("reference_answer must be a call {name, arguments}, a text f(a=1), or a list of calls")
        calls += found
    return calls


def accepted_calls(item: Any) -> list[Call]:
    """Calls of the form {"f": {"a": [accepted values]}}."""
    if not isinstance(item, dict) or not all(
        isinstance(arguments, dict) and all(isinstance(values, list) for values in arguments.values())
        for arguments in item.values()
    ):
        return []
    return [(name, {key: Accepted(values) for key, values in arguments.items()}) for name, arguments in item.items()]


def read_calls(text: str) -> list[Call]:
    """The calls in a text; none when there are too many or the text is too long."""
    if len(text) > MAX_CHARACTERS:
        return []
    places = TAG.findall(text) or FENCE.findall(text) or [text]
    calls = [call for place in places for call in read_place(place.strip())]
    return calls if len(calls) <= MAX_CALLS else []


def read_place(text: str) -> list[Call]:
    """Calls of one place, as JSON or as Python."""
    try:
        return list(calls_of(json.loads(text)))
    except (ValueError, RecursionError):
        pass
    try:
        nodes: list[ast.expr] = [
            statement.value for statement in ast.parse(text).body if isinstance(statement, ast.Expr)
        ]
        nodes = [one for node in nodes for one in (node.elts if isinstance(node, ast.List | ast.Tuple) else [node])]
        return [
            (
                ast.unparse(node.func),
                {str(index): ast.literal_eval(argument) for index, argument in enumerate(node.args)}
                | {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords},
            )
            for node in nodes
            if isinstance(node, ast.Call)
        ]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return []


def calls_of(value: Any) -> list[Call]:
    """Calls in a JSON value, in the forms models write."""
    calls: list[Call] = []
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict):
            continue
        if isinstance(one.get("tool_calls"), list):
            calls += calls_of(
                [call for call in one["tool_calls"] if isinstance(call, dict) and "tool_calls" not in call]
            )
            continue
        call = one["function"] if isinstance(one.get("function"), dict) else one
        arguments: Any = next((call[key] for key in ("arguments", "parameters") if key in call), {})
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except (ValueError, RecursionError):
                continue
        if isinstance(call.get("name"), str) and isinstance(arguments, dict):
            calls.append((call["name"], arguments))
    return calls


def compare(wanted: Call, given: Call) -> dict[str, float]:
    """The parts of one call's score."""
    if wanted[0].replace(".", "_") != given[0].replace(".", "_"):
        return dict.fromkeys(WEIGHTS, 0.0)
    allowed, got = wanted[1], given[1]
    required = {name for name, value in allowed.items() if not (isinstance(value, Accepted) and "" in value)}
    names = required | got.keys()
    if not names:
        return dict.fromkeys(WEIGHTS, 1.0)
    known = [name for name in names if name in allowed and name in got]
    values = sum(agreement(allowed[name], got[name]) for name in known)
    return {"name": 1.0, "arguments": len(known) / len(names), "values": values / len(names)}


def agreement(wanted: Any, given: Any) -> float:
    """1 for the right value, WRONG_TYPE when only its type is off, else 0."""
    if isinstance(wanted, Accepted):
        return max((agreement(inside(one), given) for one in wanted), default=0.0)
    if isinstance(wanted, dict) and isinstance(given, dict):
        return float(
            bool(wanted.keys() >= given.keys())
            and all(
                agreement(value, given[name]) == 1 if name in given else isinstance(value, Accepted) and "" in value
                for name, value in wanted.items()
            )
        )
    if isinstance(wanted, list) and isinstance(given, list | tuple):
        return float(
            len(wanted) == len(given)
            and all(agreement(one, other) == 1 for one, other in zip(wanted, given, strict=True))
        )
    if isinstance(wanted, str) and isinstance(given, str):
        return float(FILLER.sub("", wanted).casefold() == FILLER.sub("", given).casefold())
    if isinstance(wanted, bool) == isinstance(given, bool) and not isinstance(wanted, str) and wanted == given:
        return 1.0
    is_plain = all(isinstance(one, str | int | float | None) for one in (wanted, given))
    return WRONG_TYPE if is_plain and str(wanted).casefold() == str(given).casefold() else 0.0


def inside(value: Any) -> Any:
    """An accepted object, whose own fields list accepted values too."""
    if isinstance(value, dict) and all(isinstance(item, list) for item in value.values()):
        return {name: Accepted(item) for name, item in value.items()}
    return [inside(item) for item in value] if isinstance(value, list) else value


# --- From here on every template is the same: how samples come in and scores go out. ---


class ScoringError(Exception):
    """The sample cannot be scored, and the completion is not to blame: the row is wrong, or a tool is missing."""


def lambda_handler(event: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:  # noqa: ARG001
    """Answer {id, aggregate_reward_score, metrics_list} per sample, or {id, error} where that cannot be."""
    return [answer(sample) for sample in event]


def answer(sample: dict[str, Any]) -> dict[str, Any]:
    """The entry of one sample: components of the reward have type Reward, what is only measured has type Metric."""
    try:
        reward, components, measurements = score(sample)
    except ScoringError as error:
        return {"id": sample.get("id"), "error": str(error)}
    metrics = [{"name": name, "value": value, "type": "Reward"} for name, value in components.items()]
    metrics += [{"name": name, "value": value, "type": "Metric"} for name, value in measurements.items()]
    return {"id": sample.get("id"), "aggregate_reward_score": reward, "metrics_list": metrics}


def field_of(sample: dict[str, Any], name: str) -> Any:
    """A field of the row, which stands at the top or in the metadata; text may come as {"text": …}."""
    metadata = sample.get("metadata")
    value = sample.get(name)
    if value is None and isinstance(metadata, dict):
        value = metadata.get(name)
    return value["text"] if isinstance(value, dict) and list(value) == ["text"] else value


def completion_of(sample: dict[str, Any]) -> str:
    """The text of the last message: a string, an object with `text`, or a list of such parts."""
    messages = sample.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) else None
    parts = [
        part.get("text") if isinstance(part, dict) else part
        for part in (content if isinstance(content, list) else [content])
    ]
    return "".join(part for part in parts if isinstance(part, str))


def after_reasoning(text: str) -> str:
    """What follows the reasoning, where a model marks that with <think>…</think>; nothing when it never ended."""
    return text.rpartition("</think>")[2].partition("<think>")[0]
