"""A grader object of the API → its checked form, or an error that names the field.

Source: OpenAI grader contract, 5.2, 5.8 and 5.11; the form of errors: 1.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tuneward.errors import GraderError, did_you_mean
from tuneward.rewards.openai.formula import NAME
from tuneward.rewards.openai.spec import (
    GraderSpec,
    LabelModel,
    MultiGrader,
    PythonGrader,
    ScoreModel,
    Spec,
    StringCheck,
    TextSimilarity,
)
from tuneward.types import Json

KINDS: Mapping[str, type[Spec]] = {
    "string_check": StringCheck,
    "text_similarity": TextSimilarity,
    "score_model": ScoreModel,
    "label_model": LabelModel,
    "python": PythonGrader,
    "multi": MultiGrader,
}

EXPECTED = {
    "string_type": "a string",
    "float_type": "a number",
    "int_type": "an integer",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
}
"""Error of pydantic → the JSON type that was expected."""


class InvalidGraderError(GraderError):
    """A grader object that cannot be used.

    Args:
        message: one or two sentences.
        param: dotted path of the field from the grader object down, such as `graders.exact.input`; `grader` for itself.
        code: `invalid_type`, `invalid_value`, `missing_required_parameter` or `unknown_parameter`.
    """

    def __init__(self, message: str, param: str, code: str) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def parse_grader(value: Json) -> GraderSpec:
    """Check a grader object.

    Raises:
        InvalidGraderError: the first thing that is wrong with it.
    """
    spec = _parse(value, "")
    assert isinstance(spec, GraderSpec)
    return spec


def echo(spec: GraderSpec) -> dict[str, Json]:
    """The normalised form: `ne` for `neq`, `graders` as a map, defaults and names filled in, nulls left out."""
    plain: dict[str, Json] = spec.model_dump(exclude_none=True)
    return plain


def _parse(value: Json, path: str) -> Spec:
    if not isinstance(value, dict):
        raise wrong_type(path or "grader", "an object", value)
    if "type" not in value:
        raise missing(_join(path, "type"))
    kind = value["type"]
    if not isinstance(kind, str):
        raise wrong_type(_join(path, "type"), "a string", kind)
    if kind == "endpoint":
        raise InvalidGraderError(
            "Graders of type endpoint are not taken, because their API was never published. "
            "Score over HTTP with reward.endpoint instead.",
            _join(path, "type"),
            "invalid_value",
        )
    if kind not in KINDS:
        raise _unsupported(_join(path, "type"), kind, KINDS)
    fields = dict(value)
    if kind == "multi":
        if path:
            raise InvalidGraderError(
                f"Invalid value for '{path}': a multi grader holds no other multi grader. Put both into one formula.",
                _join(path, "type"),
                "invalid_value",
            )
        if "graders" in fields:
            fields["graders"] = {name: _parse(part, f"graders.{name}") for name, part in _parts(value["graders"])}
    if kind == "python" and fields.get("name") is None:
        fields["name"] = path.rpartition(".")[2] or "python"
    try:
        return KINDS[kind].model_validate(fields)
    except ValidationError as error:
        raise _translated(error.errors(include_url=False)[0], path, KINDS[kind]) from None


def _parts(graders: Json) -> list[tuple[str, Json]]:
    """Names and graders of a map, or of a list of graders that have names."""
    if isinstance(graders, list):
        named: list[tuple[str, Json]] = []
        for index, part in enumerate(graders):
            path = f"graders[{index}]"
            if not isinstance(part, dict):
                raise wrong_type(path, "an object", part)
            if "name" not in part:
                raise missing(f"{path}.name")
            if not isinstance(part["name"], str):
                raise wrong_type(f"{path}.name", "a string", part["name"])
            if part["name"] in dict(named):
                raise InvalidGraderError(
                    f"Invalid value for '{path}.name': two graders are named \"{part['name']}\".",
                    f"{path}.name",
                    "invalid_value",
                )
            named.append((part["name"], part))
    elif isinstance(graders, dict):
        if isinstance(graders.get("type"), str):
            # One grader in place of a map, as published clients declare it; the service names its first plain field.
            fields = ["input", *sorted(graders)]
            field = next(key for key in fields if key in graders and not isinstance(graders[key], dict))
            raise wrong_type(f"graders.{field}", "an object", graders[field], advice=" Give a map from name to grader.")
        named = list(graders.items())
    else:
        raise wrong_type("graders", "an object", graders)
    for name, _ in named:
        if not NAME.fullmatch(name):
            raise InvalidGraderError(
                f"Invalid value for 'graders': \"{name}\" cannot stand in a formula. Use letters, digits and _.",
                f"graders.{name}",
                "invalid_value",
            )
    return named


def _translated(error: ErrorDetails, path: str, model: type[Spec]) -> InvalidGraderError:
    """An error of pydantic in the words of the API."""
    at = _join(path, _dotted(error["loc"]))
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return missing(at)
    if kind == "extra_forbidden":
        near = did_you_mean(str(error["loc"][-1]), model.model_fields) if len(error["loc"]) == 1 else ""
        return InvalidGraderError(f"Unknown parameter: '{at}'{near or '.'}", at, "unknown_parameter")
    if kind in EXPECTED:
        return wrong_type(at, EXPECTED[kind], value)
    if kind == "literal_error":
        supported = str(context["expected"]).replace(" or ", ", ")
        return InvalidGraderError(f"Invalid value: {value!r}. Supported values are: {supported}.", at, "invalid_value")
    text = str(context.get("error") or error["msg"])
    if kind in ("too_short", "too_long"):
        text = f"expected {_bound(context)} in it, got {len(value)}"
    if kind == "value_error" and (field := text.partition(" ")[0].rstrip(":")) in model.model_fields:
        at = _join(path, field)  # A check over several fields begins with the name of the one to correct.
        text = text[len(field) :].lstrip(": ")
    text = f"{text[:1].lower()}{text[1:]}"
    return InvalidGraderError(
        f"Invalid value for '{at}': {text}{'' if text[-1:] in '.?' else '.'}", at, "invalid_value"
    )


def missing(at: str) -> InvalidGraderError:
    return InvalidGraderError(f"Missing required parameter: '{at}'.", at, "missing_required_parameter")


def wrong_type(at: str, expected: str, value: Any, *, advice: str = "") -> InvalidGraderError:
    """The error of a value of the wrong JSON type, in the documented words."""
    return InvalidGraderError(
        f"Invalid type for '{at}': expected {expected}, but got {_json_type(value)} instead.{advice}",
        at,
        "invalid_type",
    )


def _unsupported(at: str, value: str, known: Mapping[str, object]) -> InvalidGraderError:
    supported = ", ".join(f"'{name}'" for name in known)
    return InvalidGraderError(f"Invalid value: '{value}'. Supported values are: {supported}.", at, "invalid_value")


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array"}
    return kinds.get(type(value), "an object")


def _bound(context: Mapping[str, Any]) -> str:
    return f"at most {context['max_length']}" if "max_length" in context else f"at least {context['min_length']}"


def _dotted(places: tuple[int | str, ...]) -> str:
    text = ""
    for place in places:
        text += f"[{place}]" if isinstance(place, int) else f".{place}" if text else place
    return text


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path and field else path or field
