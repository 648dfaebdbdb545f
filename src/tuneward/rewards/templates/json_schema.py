"""Is the answer JSON, does it satisfy a schema, and do its fields have the right values?

    part     weight  for
    json     0.1     the answer is one JSON value, alone or in a code fence; half of it with other text around
    schema   0.3     it satisfies the schema; an answer with n violations gets 1 / (1 + n) of this
    fields   0.6     right fields / (fields of the reference and further fields of the answer)

Weights of parts that a row does not ask for are shared out among the others, so that a perfect answer earns 1.0.

Row: `reference_answer` is an object with `schema`, `value`, or both; any other JSON is taken for the value. A text that
is JSON is read as such. A schema may also stand in the row's own field `schema`.

    {"messages": [{"role": "user", "content": "Extract name and age as JSON: Ada, 36, lives in London."}],
     "reference_answer": {"schema": {"type": "object", "required": ["name", "age"], "additionalProperties": false,
                                     "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
                          "value": {"name": "Ada", "age": 36}}}

Fields are compared at the leaves, lists by position, text without surrounding spaces; 36 and 36.0 are the same, 36 and
"36" are not. Needs the package jsonschema. Schemas are never fetched: a `$ref` must point into the schema itself.

What it cannot see: whether free text in a field means the same as the reference in other words.
"""

import contextlib
import json
import re
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing.jsonschema import EMPTY_REGISTRY

WEIGHTS = {"json": 0.1, "schema": 0.3, "fields": 0.6}
"""Share of each part in the reward."""

MAX_STARTS = 20
"""Places in a longer answer where JSON is looked for."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""

FENCE = re.compile(r"\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
ABSENT = object()


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    schema, value = expected(sample)
    found, purity = read_json(after_reasoning(completion_of(sample)))
    parts = {"json": purity}
    errors = 0
    if schema is not None:
        fit, errors = validity(schema, found)
        parts["schema"] = fit if purity > 0 else 0.0
    if value is not ABSENT:
        parts["fields"] = overlap(leaves(found), leaves(value)) if purity > 0 else 0.0
    weight = sum(WEIGHTS[name] for name in parts)
    reward = sum(WEIGHTS[name] * part for name, part in parts.items()) / weight
    exact = float(all(part == 1 for part in parts.values()))
    return 1.0 if exact else reward, parts, {"exact": exact, "schema_violations": float(errors)}


def expected(sample: dict[str, Any]) -> tuple[Validator | None, Any]:
    """The schema of a row, if any, and its value, if any (else ABSENT)."""
    reference = field_of(sample, "reference_answer")
    schema = field_of(sample, "schema")
    if isinstance(reference, str):
        with contextlib.suppress(ValueError, RecursionError):  # Text that is no JSON is the value, as a JSON string.
            reference = json.loads(reference)
    value = ABSENT if reference is None else reference
    if isinstance(reference, dict) and reference and reference.keys() <= {"schema", "value"}:
        schema, value = reference.get("schema", schema), reference.get("value", ABSENT)
    if schema is None and value is ABSENT:
        raise ScoringError("the row has neither a schema nor a value; give reference_answer {schema, value}")
    return None if schema is None else validator(json.dumps(schema)), value


@lru_cache(256)
def validator(schema_text: str) -> Validator:
    """A validator that looks nothing up outside the schema."""
    schema = json.loads(schema_text)
    if not isinstance(schema, dict | bool):
        raise ScoringError("schema must be a JSON Schema object")
    try:
        kind = validator_for(schema, default=Draft202012Validator)
        if isinstance(schema, dict):  # true and false are schemas, too.
            kind.check_schema(schema)
        return kind(schema, registry=EMPTY_REGISTRY)
    except Exception as error:  # Whatever a schema makes the library raise, it is the schema that is wrong.
        raise ScoringError(f"schema is no JSON Schema ({' '.join(str(error).split())[:160]})") from None


def validity(schema: Validator, value: Any) -> tuple[float, int]:
    """How well a value fits, 0 to 1 (0 also when it is of another kind altogether), and the number of violations."""
    try:
        errors = list(schema.iter_errors(value))
        is_another_kind = any(error.validator == "type" and not error.absolute_path for error in errors)
        return 0.0 if is_another_kind else 1 / (1 + len(errors)), len(errors)
    except Exception as error:  # An unknown or endless $ref shows only now.
        raise ScoringError(f"schema cannot be applied ({' '.join(str(error).split())[:160]})") from None


def read_json(text: str) -> tuple[Any, float]:
    """The JSON value of an answer, with 1 when it is alone, 0.5 with other text around, 0 when there is none."""
    fenced = FENCE.fullmatch(text)
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(fenced[1] if fenced else text, parse_constant=refuse), 1.0
    decoder = json.JSONDecoder(parse_constant=refuse)
    best: Any = None
    length = 0
    end = 0
    for start in [found.start() for found in re.finditer(r"[{\[]", text)][:MAX_STARTS]:
        if start < end:
            continue
        try:
            value, stop = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        end = stop
        if stop - start > length:
            best, length = value, stop - start
    return best, 0.5 if length else 0.0


def refuse(constant: str) -> Any:
    """NaN and Infinity, which Python reads, are not JSON."""
    raise ValueError(constant)


def leaves(value: Any) -> dict[tuple[str | int, ...], Any]:
    """Path → value for everything that is no filled object or list."""
    found: dict[tuple[str | int, ...], Any] = {}
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while pending:
        path, one = pending.pop()
        if isinstance(one, dict) and one:
            pending += [((*path, key), item) for key, item in one.items()]
        elif isinstance(one, list) and one:
            pending += [((*path, index), item) for index, item in enumerate(one)]
        else:
            found[path] = one.strip() if isinstance(one, str) else one
    return found


def overlap(given: dict[tuple[str | int, ...], Any], right: dict[tuple[str | int, ...], Any]) -> float:
    """Leaves that agree / leaves of either."""
    agreeing = sum(path in given and is_same(given[path], one) for path, one in right.items())
    return agreeing / len(given.keys() | right.keys())


def is_same(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


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
