"""The event a reward function gets and the answers it may give. Source: Bedrock RFT contract, 4.1 and 4.2."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from tuneward.types import Json, Receipt, Sample, Score, Verdict

SHOWN_IDS = 5
SHOWN_TEXT = 200


def event_item(sample: Sample, reference_answer: Literal["raw", "text"] = "raw") -> dict[str, Json]:
    """One entry of the event: `id`, `messages` with the completion last, `reference_answer`, `metadata`, extras.

    The reference answer stands at the top and in the metadata, and the row's extras in both places too, because
    published reward functions read either. A row without a reference answer gets none, so that
    `item.get("reference_answer", {})` works; a row's extra never replaces a field of the contract.

    Args:
        reference_answer: `text` sends a string at the top as `{"text": …}`, as Bedrock's open-weight models do; the
            metadata holds it as the row does either way.
    """
    row = sample.row
    metadata = dict(row.metadata)
    if row.reference_answer is not None:
        metadata["reference_answer"] = row.reference_answer
    fields: dict[str, Json] = {
        "id": sample.id,
        "messages": [*map(dict, row.messages), {"role": "assistant", "content": sample.completion}],
        "metadata": metadata,
    }
    item = {**fields, **{name: value for name, value in metadata.items() if name not in fields}}
    if reference_answer == "text" and isinstance(row.reference_answer, str):
        item["reference_answer"] = {"text": row.reference_answer}
    return item


def build_event(samples: Sequence[Sample]) -> list[dict[str, Json]]:
    """The event of one call, entries in the order of `samples`."""
    return [event_item(sample) for sample in samples]


def parse_answer(text: str | bytes, samples: Sequence[Sample], receipt: Receipt, source: str) -> list[Score]:
    """Scores from an answer as JSON text; see `read_answer`. Text that is no JSON makes every sample invalid."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        return fail(samples, receipt, Verdict.INVALID, f"{source} answered JSON that cannot be read ({_short(error)}).")
    return read_answer(answer, samples, receipt, source)


def read_answer(answer: Json, samples: Sequence[Sample], receipt: Receipt, source: str) -> list[Score]:
    """One Score per sample, in their order, from whatever a reward function answered.

    Accepted: a list matched by `id` in any order, or by position when the counts agree and the ids tell nothing
    (absent, unknown, or all the same); one object for one sample; either of them inside
    `{"statusCode": 200, "body": …}`. What cannot be used becomes a score of NaN with the reason in its receipt; nothing
    here raises for an answer's sake.

    Args:
        answer: any JSON value.
        receipt: of the call, with verdict `ok`; scores that are fine share it.
        source: names the function in messages, e.g. `reward.py: lambda_handler`.
    """
    if isinstance(answer, dict) and "statusCode" in answer:
        status, body = answer["statusCode"], answer.get("body")
        if isinstance(status, bool) or status not in (200, "200"):
            message = f"{source} answered statusCode {_short(status)} instead of 200: {_short(body)}."
            return fail(samples, receipt, Verdict.ERROR, message)
        try:
            answer = json.loads(body) if isinstance(body, str) else body
        except (ValueError, RecursionError) as error:
            message = f"{source} answered a body that is not JSON ({_short(error)})."
            return fail(samples, receipt, Verdict.INVALID, message)
    if isinstance(answer, dict) and "aggregate_reward_score" not in answer and "errorMessage" in answer:
        message = f"{source} answered an error: {_short(answer['errorMessage'])}."
        return fail(samples, receipt, Verdict.ERROR, message)
    if isinstance(answer, dict) and len(samples) == 1:
        answer = [answer]
    if not isinstance(answer, list):
        message = f"{source} answered {_named(answer)} for {_count(samples)}. Return a list with one entry per sample."
        return fail(samples, receipt, Verdict.INVALID, message)
    return _match(answer, samples, receipt, source)


def fail(samples: Sequence[Sample], receipt: Receipt, verdict: Verdict, message: str) -> list[Score]:
    """A failed score (NaN, never 0) for each sample, with one reason."""
    receipt = replace(receipt, verdict=verdict, message=_clean(message))
    return [Score(sample.id, math.nan, receipt) for sample in samples]


def _match(entries: list[Json], samples: Sequence[Sample], receipt: Receipt, source: str) -> list[Score]:
    ids = [_id(entry) for entry in entries]
    known = {sample.id for sample in samples}
    if len(entries) == len(samples) and all(isinstance(entry, dict) for entry in entries):
        is_constant = len(ids) > 1 and len(set(ids)) == 1
        if is_constant or known.isdisjoint(ids):
            ids = [sample.id for sample in samples]
    found: dict[str, list[Json]] = {}
    for entry_id, entry in zip(ids, entries, strict=True):
        if entry_id is not None:
            found.setdefault(entry_id, []).append(entry)
    missing = [sample.id for sample in samples if sample.id not in found]
    unknown = found.keys() - known
    scores: list[Score] = []
    for sample in samples:
        answers = found.get(sample.id, [])
        if len(answers) == 1:
            scores.append(_score(answers[0], sample, receipt, source))
            continue
        if answers:
            message = f"{source} answered {len(answers)} times for sample {sample.id}. Return one entry per sample."
        else:
            odd = f"; unknown ids {_list(sorted(unknown))}" if unknown else ""
            message = (
                f"{source} answered {_count(entries, 'score')} for {_count(samples)} "
                f"(missing ids {_list(missing)}{odd}). Return one entry per sample."
            )
        scores += fail([sample], receipt, Verdict.INVALID, message)
    return scores


def _id(entry: Json) -> str | None:
    """The id of an entry as text; None when there is none that could match."""
    value = entry.get("id") if isinstance(entry, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _score(entry: dict[str, Json], sample: Sample, receipt: Receipt, source: str) -> Score:
    reward = _number(entry.get("aggregate_reward_score"))
    if reward is None:
        if "aggregate_reward_score" in entry:
            got = _named(entry["aggregate_reward_score"])
            message = f"{source} gave sample {sample.id} an aggregate_reward_score of {got}; expected a finite number."
        elif entry.get("errorMessage") or entry.get("error"):
            reason = _short(entry.get("errorMessage") or entry["error"])
            message = f"{source} answered an error for sample {sample.id}: {reason}."
        else:
            keys = _list(sorted(map(str, entry))) or "none"
            message = f"{source} gave sample {sample.id} no aggregate_reward_score (fields found: {keys})."
        return fail([sample], receipt, Verdict.INVALID, message)[0]
    metrics, components = _metrics(entry)
    return Score(sample.id, reward, receipt, metrics, components)


def _metrics(entry: dict[str, Json]) -> tuple[dict[str, float], frozenset[str]]:
    """Every named finite number of `reward_components` and `metrics_list`; the rest is dropped, never an error."""
    metrics: dict[str, float] = {}
    components: set[str] = set()
    parts = entry.get("reward_components")
    for name, value in parts.items() if isinstance(parts, dict) else ():
        if (number := _number(value, is_lenient=True)) is not None:
            name = _clean(str(name))
            metrics[name] = number
            components.add(name)
    listed = entry.get("metrics_list")
    for item in listed if isinstance(listed, list) else ():
        if not isinstance(item, dict):
            continue
        name = item.get("name", item.get("metric"))
        number = _number(item.get("value"), is_lenient=True)
        if isinstance(name, str) and name and number is not None:
            name = _clean(name)
            metrics[name] = number
            if item.get("type") == "Reward":
                components.add(name)
    return metrics, frozenset(components)


def _number(value: Json, is_lenient: bool = False) -> float | None:
    """A finite number, or None. Metrics may be true or false or a number as text; a reward may not."""
    if not isinstance(value, int | float | str) or (isinstance(value, bool | str) and not is_lenient):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):  # JSON holds integers beyond any float, too.
        return None
    return number if math.isfinite(number) else None


def _named(value: Json) -> str:
    """The value with its JSON type, for a message."""
    if value is None:
        return "null"
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}[str(value)]
    kinds = {bool: "boolean", str: "string", dict: "object", list: "list", int: "number", float: "number"}
    kind = kinds.get(type(value), type(value).__name__)
    article = "an" if kind == "object" else "a"
    return f"{article} {kind}" if isinstance(value, dict | list) else f"{article} {kind} ({_short(value)})"


def _short(value: object) -> str:
    """The value on one line of bounded length."""
    try:
        text = str(value) if isinstance(value, Exception) else json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        text = f"({type(value).__name__})"
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…"


def _clean(text: str) -> str:
    """One line that any file can hold: JSON may carry half of a surrogate pair, which UTF-8 cannot."""
    return " ".join(text.encode(errors="replace").decode().split())


def _count(things: Sequence[object], noun: str = "sample") -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(name if len(name) <= SHOWN_TEXT else f"{name[:SHOWN_TEXT]}…" for name in names[:SHOWN_IDS])
    return f"{shown} and {len(names) - SHOWN_IDS} more" if len(names) > SHOWN_IDS else shown
