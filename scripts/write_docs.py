"""Write the pages of docs/ that are made from the code: `python scripts/write_docs.py`.

A test compares the committed pages with what this writes, so they cannot fall behind.
"""

from __future__ import annotations

import ast
import types
import typing
from pathlib import Path
from typing import Any, Literal

from api_page import api_page
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuneward.config import Config, GraderConfig, RewardConfig, ServerConfig, SupervisedConfig
from tuneward.config.load import section_of
from tuneward.records import (
    EVALUATION_METRICS,
    FURTHER_METRICS,
    STEP_METRICS,
    SUPERVISED_METRICS,
    TIMING_METRICS,
    Metric,
)
from tuneward.rewards.templates import ready_made_templates

DOCS = Path(__file__).parent.parent / "docs"


def configuration() -> str:
    """docs/configuration.md"""
    return _page("Configuration", "Every field of a run, as YAML keys.", Config)


def supervised_configuration() -> str:
    """docs/supervised-configuration.md"""
    return _page("Configuration of supervised runs", "Every field of `tuneward sft`, as YAML keys.", SupervisedConfig)


def server_configuration() -> str:
    """docs/server-configuration.md"""
    return _page(
        "Configuration of a server", "Every field of `tuneward serve --config FILE`, as YAML keys.", ServerConfig
    )


def _page(title: str, first: str, root: type[BaseModel]) -> str:
    override = "" if root is ServerConfig else " `--set section.key=value` overrides any of them on the command line."
    plain = [(name, field) for name, field in root.model_fields.items() if section_of(field.annotation) is None]
    lines = [
        f"# {title}",
        "",
        f"{first}{override}",
        "This page is written from `src/tuneward/config/` by `make docs`.",
        "",
        *_table(plain),
    ]
    for name, field in root.model_fields.items():
        lines += _pages_of(name, field)
    return "\n".join(lines) + "\n"


def _pages_of(name: str, field: FieldInfo) -> list[str]:
    """The table of a section, and those of the sections in it; empty for a plain field."""
    section = section_of(field.annotation)
    if section is None:
        return []
    if typing.get_origin(field.annotation) is dict:
        name += ".NAME"
    lines = ["", f"## `{name}`", "", _first_line(section), ""]
    # A grader's fields are told once, at the reward.
    is_another_grader = issubclass(section, GraderConfig) and section is not RewardConfig
    known = GraderConfig.model_fields if is_another_grader else {}
    shown = {key: value for key, value in section.model_fields.items() if key not in known}
    if shown:
        lines += _table([(f"{name}.{key}", value) for key, value in shown.items()])
    if is_another_grader:
        lines += [*([""] if shown else []), "Every key of a grader under `reward` is one here too."]
    for key, value in shown.items():
        lines += _pages_of(f"{name}.{key}", value)
    return lines


def _first_line(section: type[BaseModel]) -> str:
    return " ".join((section.__doc__ or "").split())


def _table(fields: list[tuple[str, FieldInfo]]) -> list[str]:
    rows = ["| key | values | default | meaning |", "|---|---|---|---|"]
    for name, field in fields:
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(f"| `{name}` | {_values(field)} | {_default(field)} | {meaning} |")
    return rows


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}) or isinstance(value, BaseModel):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(field: FieldInfo) -> str:
    bounds = []
    for limit in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            bound = getattr(limit, name, None)
            if bound is not None:
                bounds.append(f"{sign} {bound}")
    return ", ".join([_kind(field.annotation), *bounds])


def _kind(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    arguments = [a for a in typing.get_args(annotation) if a is not type(None)]
    if origin is Literal:
        return " / ".join(f"`{choice}`" for choice in arguments)
    if origin is typing.Annotated:
        limits = [f"{s} {getattr(m, n)}" for m in arguments[1:] for n, s in (("ge", "≥"), ("le", "≤")) if _has(m, n)]
        inner = FieldInfo.from_annotation(annotation)
        return _values(inner) if not limits else ", ".join([_kind(arguments[0]), *limits])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(a) for a in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"name → {_kind(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    names = {Any: "JSON", int: "integer", float: "number", bool: "true / false", str: "text", Path: "path"}
    return names.get(annotation, str(annotation))


def _has(limit: Any, name: str) -> bool:
    return getattr(limit, name, None) is not None


def metrics() -> str:
    """docs/metrics.md"""
    parts = [
        "# Metrics",
        "",
        "`metrics.jsonl` in a run folder holds one JSON object a line. `kind` says what it is: `step`, `evaluation`,",
        "`preflight`, `warning` or `event`. A number that was not measured is absent. Whatever depends on the clock",
        "stands under `timing`, so two runs of one seed agree outside it, but for a held-out grader's scores of steps,",
        "which stand in the first record after they came. The reward's own metrics appear as `metric/NAME`, the scores",
        "of a composition's parts as `metric/PART` and their metrics as `metric/PART/NAME`. Graders of the OpenAI API",
        "add the share of samples with each fault, `fault/KIND` or `fault/PART/KIND`. This page is written from",
        "`src/tuneward/records.py` by `make docs`.",
    ]
    for title, group in (
        ("`step` records", STEP_METRICS),
        ("`timing` of step records", TIMING_METRICS),
        ("`evaluation` records", EVALUATION_METRICS),
        ("Both, with a held-out grader or a judge", FURTHER_METRICS),
        ("Both, in supervised runs", SUPERVISED_METRICS),
    ):
        parts += ["", f"## {title}", "", "| name | unit | meaning |", "|---|---|---|", *map(_metric_row, group)]
    return "\n".join(parts) + "\n"


def _metric_row(metric: Metric) -> str:
    return f"| `{metric.name}` | {metric.unit or '–'} | {metric.meaning.replace('|', chr(92) + '|')} |"


def reward_templates() -> str:
    """docs/reward-templates.md"""
    lines = [
        "# Ready-made rewards",
        "",
        "`reward.template: NAME` uses one as it is; `tuneward rewards copy NAME` makes it a file of your own, to edit",
        "and to use with `reward.file`. `tuneward rewards list` shows these and the rubrics for judges. Each is one",
        "file with `lambda_handler(event, context)`, as Amazon Bedrock calls it. A sample whose row is wrong gets no",
        "score, with the reason, and never 0. This page is written from `src/tuneward/rewards/templates/` by",
        "`make docs`.",
    ]
    for template in ready_made_templates():
        lines += ["", f"## `{template.name}`", "", template.documentation, "", "| setting | default | meaning |"]
        lines.append("|---|---|---|")
        for name, value, meaning in _settings(template.path):
            lines.append(f"| `{name}` | `{value}` | {meaning} |")
    return "\n".join(lines) + "\n"


def _settings(path: Path) -> list[tuple[str, str, str]]:
    """Name, value and meaning of the constants at a template's top; one without a docstring shares that of the next."""
    source = path.read_text(encoding="utf-8")
    found: list[tuple[str, str, str]] = []
    pending: list[tuple[str, str]] = []
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name("Scores")]):
                break
            case ast.Assign(targets=[ast.Name(name)], value=value) | ast.AnnAssign(
                ast.Name(name), value=ast.expr() as value
            ):
                pending.append((name, ast.get_source_segment(source, value) or ""))
            case ast.Expr(ast.Constant(str(text))) if pending:
                found += [(name, value, " ".join(text.replace("|", "\\|").split())) for name, value in pending]
                pending = []
    return found


PAGES = {
    "configuration.md": configuration,
    "supervised-configuration.md": supervised_configuration,
    "server-configuration.md": server_configuration,
    "metrics.md": metrics,
    "reward-templates.md": reward_templates,
    "api.md": api_page,
}

if __name__ == "__main__":
    for name, write in PAGES.items():
        (DOCS / name).write_text(write(), encoding="utf-8")
        print(DOCS / name)
