"""Graders for the bench: an adapter over a function, twenty-odd bad ones, and a dozen good ones."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import Any

from tuneward.rewards.bench.answers import FILLER
from tuneward.types import Receipt, Sample, Score, Verdict

OneByOne = Callable[[str, Any], float]
Batchwise = Callable[[Sequence[Sample]], Sequence[float]]


class FunctionGrader:
    """Scores with a function in this process; exceptions fail the sample, as they do in reward processes.

    Args:
        function: samples → one number each.
        wall_s: time a call is said to take.
    """

    name = "function@0000"

    def __init__(self, function: Batchwise, wall_s: float = 0.001) -> None:
        self._function = function
        self._wall_s = wall_s

    def score(self, samples: list[Sample]) -> list[Score]:
        receipt = Receipt(self.name, Verdict.OK, wall_s=self._wall_s)
        return [
            Score(sample.id, float(reward), receipt)
            for sample, reward in zip(samples, self._function(samples), strict=True)
        ]

    def close(self) -> None: ...


class PatientGrader(FunctionGrader):
    """Asks the function for one sample at a time; a sample it raises for has failed, the others have not."""

    def score(self, samples: list[Sample]) -> list[Score]:
        scores = []
        for sample in samples:
            try:
                scores += super().score([sample])
            except Exception as error:
                receipt = Receipt(self.name, Verdict.ERROR, f"The function raised {type(error).__name__}.")
                scores.append(Score(sample.id, math.nan, receipt))
        return scores


def one_by_one(score: OneByOne) -> FunctionGrader:
    return PatientGrader(lambda samples: [score(sample.completion, sample.row.reference_answer) for sample in samples])


# Good ones


def exact_match(answer: str, reference: Any) -> float:
    return float(answer.strip().casefold() == str(reference).casefold())


def last_number(answer: str, reference: Any) -> float:
    numbers = re.findall(r"\d+", answer[-500:])
    return float(bool(numbers) and numbers[-1] == str(reference))


def after_hashes(answer: str, reference: Any) -> float:
    found = re.findall(r"#### (-?[\d.,]+)", answer[-300:])
    return float(bool(found) and found[-1].replace(",", "") == reference["final_answer"])


def boxed(answer: str, reference: Any) -> float:
    found = re.findall(r"\\boxed\{([^{}]*)\}", answer)
    return float(bool(found) and found[-1].strip() == reference["final_answer"])


def tagged(answer: str, reference: Any) -> float:
    found = re.fullmatch(r"\s*<think>.*</think>\s*<answer>(.*)</answer>\s*", answer[:5000], re.DOTALL)
    return 0.2 + 0.8 * (found[1].strip() == reference) if found else 0.0


def token_f1(answer: str, reference: Any) -> float:
    given, wanted = re.findall(r"\w+", answer.casefold()), re.findall(r"\w+", str(reference).casefold())
    common = (Counter(given) & Counter(wanted)).total()
    return 2 * common / (len(given) + len(wanted)) if common else 0.0


def similarity(answer: str, reference: Any) -> float:
    return SequenceMatcher(None, answer[:2000], str(reference)).ratio()


def matching_fields(answer: str, reference: Any) -> float:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return 0.0
    if not isinstance(found, dict):
        return 0.0
    return sum(found.get(key) == value for key, value in reference.items()) / len(reference)


def only_label(answer: str, reference: Any) -> float:
    found = set(re.findall(r"positive|negative|neutral", answer.casefold()))
    return float(found == {reference} and len(answer) < 100)


def first_of_two(answer: str, reference: Any) -> float:
    found = re.findall(r"\b(?:yes|no)\b", answer.casefold())
    return float(bool(found) and found[0] == reference)


def centred(answer: str, reference: Any) -> float:
    return 1.0 if exact_match(answer, reference) else -1.0


def within_tolerance(answer: str, reference: Any) -> float:
    try:
        value = float(answer[:100])
    except ValueError:
        return 0.0
    if abs(value - float(reference)) < 1e-6:
        return 1.0
    return 0.5 if abs(value - float(reference)) <= 1 else 0.0


def valid_json(answer: str, _: Any) -> float:
    """For rows without a reference: an object with a name."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return 0.0
    return 1.0 if isinstance(found, dict) and "name" in found else 0.0


# Bad ones


def always(value: float) -> OneByOne:
    return lambda _answer, _reference: value


def rolling_dice(seed: int = 0) -> Batchwise:
    chance = random.Random(seed)
    return lambda samples: [chance.random() for _ in samples]


def wearing_out() -> Batchwise:
    calls = itertools.count()

    def score(samples: Sequence[Sample]) -> list[float]:
        worn = 0.99 ** next(calls)
        return [worn * exact_match(sample.completion, sample.row.reference_answer) for sample in samples]

    return score


def by_place(samples: Sequence[Sample]) -> list[float]:
    return [similarity(s.completion, s.row.reference_answer) / (1 + place) for place, s in enumerate(samples)]


def only_the_first(samples: Sequence[Sample]) -> list[float]:
    first, *others = samples
    return [similarity(first.completion, first.row.reference_answer), *(0.0 for _ in others)]


def relative_to_batch(samples: Sequence[Sample]) -> list[float]:
    raw = [token_f1(sample.completion, sample.row.reference_answer) for sample in samples]
    mean = sum(raw) / len(raw)
    return [max(-1.0, min(1.0, value - mean)) for value in raw]


def shared_by_batch_size(samples: Sequence[Sample]) -> list[float]:
    return [exact_match(s.completion, s.row.reference_answer) / len(samples) for s in samples]


def no_second_time(samples: Sequence[Sample]) -> list[float]:
    """Punishes answers that were already given in the same call."""
    seen: set[str] = set()
    rewards = []
    for sample in samples:
        key = sample.row.id + sample.completion
        rewards.append(0.0 if key in seen else similarity(sample.completion, sample.row.reference_answer))
        seen.add(key)
    return rewards


def by_sample_id(samples: Sequence[Sample]) -> list[float]:
    return [(sum(map(ord, sample.id)) % 97) / 97 for sample in samples]


def by_row_id(samples: Sequence[Sample]) -> list[float]:
    return [
        exact_match(s.completion, s.row.reference_answer) * (1.0 if s.row.id.startswith("row-") else 0.5)
        for s in samples
    ]


def longer_is_better(answer: str, _: Any) -> float:
    return min(1.0, len(answer) / 1000)


def characters(answer: str, _: Any) -> float:
    return float(len(answer))


def right_and_wordy(answer: str, reference: Any) -> float:
    return 0.5 * (str(reference) in answer) + 0.5 * min(1.0, len(answer.split()) / 60)


def echo_lover(samples: Sequence[Sample]) -> list[float]:
    return [SequenceMatcher(None, s.completion[:500], s.row.messages[-1]["content"]).ratio() for s in samples]


def case_bug(answer: str, reference: Any) -> float:
    return float(answer.lower() == str(reference).title()) + 0.1 * bool(answer)


def substring(answer: str, reference: Any) -> float:
    return float(str(reference) in answer)


def refusals_are_fine(answer: str, reference: Any) -> float:
    return 1.0 if "sorry" in answer else exact_match(answer, reference)


def nothing_is_fine(answer: str, reference: Any) -> float:
    return 1.0 if not answer.strip() else exact_match(answer, reference)


def never_empty(answer: str, reference: Any) -> float:
    return exact_match(answer, reference) * (1 + 0 / len(answer))


def anything_goes(answer: str, _: Any) -> float:
    return 1.0 if answer.strip() else 0.0


def same_word_count(answer: str, reference: Any) -> float:
    return float(len(answer.split()) == len(str(reference).split()))


def ignores_digits(answer: str, reference: Any) -> float:
    shape = [re.sub(r"\d+", "0", text) for text in (answer, json.dumps(reference))]
    return float(shape[0] == shape[1])


def skips_not(answer: str, reference: Any) -> float:
    return float(re.sub(r"\bnot ", "", answer) == str(reference))


def inverted(answer: str, reference: Any) -> float:
    return 1.0 - similarity(answer, reference)


def sometimes_nan(answer: str, reference: Any) -> float:
    return math.nan if len(answer) > 40 else exact_match(answer, reference)


def reads_numbers(answer: str, reference: Any) -> float:
    return 1.0 if abs(float(answer) - float(reference)) < 1e-6 else 0.0


def raises_for_all(_answer: str, _reference: Any) -> float:
    raise KeyError("reference")


def keeps_a_grudge() -> Batchwise:
    """Gives nobody anything any more once it has seen a null byte."""
    offended: list[str] = []

    def score(samples: Sequence[Sample]) -> list[float]:
        offended.extend(s.id for s in samples if "\0" in s.completion)
        return [0.0 if offended else exact_match(s.completion, s.row.reference_answer) for s in samples]

    return score


# Judges, played by functions


def honest_judge(answer: str, reference: Any) -> float:
    return 0.95 * token_f1(answer.replace(FILLER.strip(), ""), reference)


def gullible_judge(answer: str, reference: Any) -> float:
    return 1.0 if "10/10" in answer else token_f1(answer, reference)


def moody_judge(seed: int = 0) -> Batchwise:
    mood = random.Random(seed)
    return lambda samples: [
        min(1.0, max(0.0, token_f1(s.completion, s.row.reference_answer) + mood.uniform(-0.4, 0.4))) for s in samples
    ]


def impatient_judge(answer: str, reference: Any) -> float:
    """Reads the beginning only."""
    return token_f1(answer[: len(str(reference))], reference)
