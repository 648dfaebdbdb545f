r"""Is the final number or formula right?

    right, and marked as the answer          1.0
    right, but only the last number          0.9
    wrong                                    0.1 if marked, and up to 0.2 for intermediate results

The answer is read from the last \boxed{…}, else from what follows the last "####", else from what follows the last
"answer is" or "answer:", else it is the last number; only the first of these that is there counts. Numbers are compared
by value (1,000 = $1000.00; 1/2 = 0.5; 50% = 50), formulas by the package math-verify. An answer that names two numbers
is wrong. Intermediate results are the numbers after "=" in the reference's solution; those that the answer's solution
also reaches count, and further ones it lists count against it.

Row: `reference_answer` is a number, a text (GSM8K's "… #### 72", LaTeX, or the answer alone), or an object with
`answer` (or `final_answer`, `value`, `ground_truth`) and, if wanted, `solution`.

    {"messages": [{"role": "user", "content": "Anna has 3 bags of 8 nuts and eats 4. How many are left?"}],
     "reference_answer": {"answer": "20", "solution": "3 * 8 = 24, 24 - 4 = 20"}}

What it cannot see: whether the way to the answer is sound. Units are not compared. Formulas with towers of powers or
very large numbers are compared as text only, because evaluating them could take for ever.
"""

import logging
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from math_verify import parse, verify

RIGHT_UNMARKED = 0.9
"""Score of a right answer that had to be guessed from the last number."""

MARKED = 0.1
"""Score of a wrong answer that is marked as one."""

STEPS = 0.2
"""Most that intermediate results add to a wrong answer."""

RELATIVE_TOLERANCE = 1e-6
ABSOLUTE_TOLERANCE = 0.0
"""Numbers are the same within the larger of both: a share of the reference (between whole numbers none), a distance."""

MAX_FORMULA = 200
"""Characters of a formula that is still compared as one."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""

ANSWER_KEYS = ("answer", "final_answer", "value", "ground_truth")
NUMBER = re.compile(r"(?<![\w.])[-+−]?[$€£]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?:[eE][-+]?\d{1,2})?(?![\w^])")
FRACTION = re.compile(r"([-+−]?)\\?[dt]?frac\{(\d{1,30})\}\{(\d{1,30})\}|([-+−]?)(\d{1,30})\s*/\s*(\d{1,30})")
RESULT = re.compile(r"=\s*[$€£]?\s*([-−]?\d[\d,]{0,30}(?:\.\d{1,30})?)")
SAID = re.compile(r"(?:[Aa]nswer|ANSWER)(?:\s+is|\s*:|\s*=)\**:?\s*(.+?)(?:[.;]?\s*$|[.;]\s|,\s(?!\d))", re.M)
UNSAFE = re.compile(r"\^\s*\{?\s*[-+]?\d{4,}|\^[^+]{0,20}\^|\*\*|\d{31,}|!|\\(?:binom|prod|sum|int)|[eE][-+]?\d{3,}")
WORDS = re.compile(r"\\(?:text|mathrm|mbox)\s*\{([^{}]*)\}")
DECORATION = re.compile(r"\\(?:left|right|displaystyle|,|;|!|:)(?![a-zA-Z])|[\s$]|\\[%$]|%")
logging.getLogger("math_verify").setLevel(logging.ERROR)  # It warns about the missing alarm on every first call.


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    right, solution = expected(field_of(sample, "reference_answer"))
    text = completion_of(sample)
    given, is_marked = final_answer(after_reasoning(text))
    is_right = bool(given) and is_same(given, right)
    steps = shared_steps(text, solution)
    partial = MARKED * is_marked + STEPS * steps
    reward = (1.0 if is_marked else RIGHT_UNMARKED) if is_right else partial
    components = {"correct": float(is_right), "marked": float(is_marked), "steps": steps}
    return reward, components, {"answered": float(bool(given))}


def expected(reference: Any) -> tuple[str, str]:
    """The right answer as text, and the solution that leads to it, if the row has one."""
    solution: Any = ""
    if isinstance(reference, dict):
        solution = reference.get("solution") or ""
        keys = [key for key in ANSWER_KEYS if key in reference] or (list(reference) if len(reference) == 1 else [])
        reference = reference[keys[0]] if keys else None
    if isinstance(reference, bool) or not isinstance(reference, str | int | float) or not isinstance(solution, str):
        raise ScoringError(
            "reference_answer must be a number, a text, or an object with answer and, if wanted, solution"
        )
    text = reference if isinstance(reference, str) else repr(reference)
    answer, is_marked = final_answer(text)
    if not is_marked:
        answer = text.strip()
    if not answer:
        raise ScoringError("reference_answer is empty")
    return answer, solution or (text if is_marked else "")


def final_answer(text: str) -> tuple[str, bool]:
    """The answer a text ends with, and whether it is marked as one."""
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed.strip(), is_something(boxed)
    _, mark, after = text.rpartition("####")
    if mark:
        line = after.strip().partition("\n")[0].strip()
        return line, is_something(line)
    said = SAID.findall(text)
    if said:
        return said[-1].strip(" *"), is_something(said[-1])
    numbers = [found.group() for found in NUMBER.finditer(text)]
    return (numbers[-1], False) if numbers else ("", False)


def is_something(text: str) -> bool:
    """Whether there is a letter or digit: "####." marks nothing."""
    return re.search(r"\w", text) is not None


def last_boxed(text: str) -> str | None:
    """What stands in the last \\boxed{…}, braces inside included; None when there is none that ends."""
    _, mark, rest = text.rpartition("\\boxed{")
    depth = 1
    for index, character in enumerate(rest if mark else ""):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return rest[:index]
    return None


def is_same(given: str, right: str) -> bool:
    """Whether both are the same number or formula."""
    left, wanted = (DECORATION.sub("", WORDS.sub(r"\1", text)).rstrip(".") for text in (given, right))
    if left and left.casefold() == wanted.casefold():
        return True
    number = value_of(right)
    if number is not None and (got := value_of(given)) is not None:
        is_whole = got.denominator == number.denominator == 1
        tolerance = max(0 if is_whole else RELATIVE_TOLERANCE * abs(number), ABSOLUTE_TOLERANCE)
        return abs(got - number) <= tolerance
    return is_same_formula(left, wanted)


def value_of(text: str) -> Fraction | None:
    """The value of a text that holds one number, with or without a unit; None when it holds none or several."""
    whole = text.replace("\\!", "").replace("{,}", ",").replace("\\$", "$").replace("\\%", "%").strip(" $").rstrip(".")
    fraction = FRACTION.fullmatch(whole)
    if fraction:
        sign, top, bottom = (fraction[1], fraction[2], fraction[3]) if fraction[2] else fraction.groups()[3:]
        return None if int(bottom) == 0 else Fraction(int(top), int(bottom)) * (-1 if sign in ("-", "−") else 1)
    if re.search(r"[\\^_=/*()\[\]{}]", re.sub(r"\^\{?\\circ\}?", " ", WORDS.sub(" ", whole))):
        return None
    found = [match.group() for match in NUMBER.finditer(WORDS.sub(r" \1", whole))]
    if len(found) != 1 or len(found[0]) > 60:
        return None
    return Fraction(re.sub(r"[\s,$€£+]", "", found[0]).replace("−", "-"))


@lru_cache(4096)
def is_same_formula(given: str, right: str) -> bool:
    """Whether math-verify takes both for the same; what could take for ever to evaluate is not tried."""
    if any(len(text) > MAX_FORMULA or UNSAFE.search(text) for text in (given, right)):
        return False
    try:
        # No time limits: they work by signals; the process that runs this has one of its own.
        gold, target = (parse(f"${text}$", parsing_timeout=None) for text in (right, given))
        return bool(gold and target and verify(gold, target, timeout_seconds=None))
    except Exception:  # What the formula reader cannot digest is not the same.
        return False


def shared_steps(text: str, solution: str) -> float:
    """Intermediate results of the solution that the text reaches / those of either."""
    wanted, reached = (
        {value for number in RESULT.findall(one) if (value := value_of(number.rstrip(","))) is not None}
        for one in (solution, text)
    )
    return len(wanted & reached) / len(wanted | reached) if wanted else 0.0


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
