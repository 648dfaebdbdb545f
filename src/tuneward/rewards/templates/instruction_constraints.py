"""Does the answer follow instructions that a program can check, such as length, case, keywords, format?

    reward = 0.5 * share of the instructions that are followed + 0.5 if all are (STRICT sets the halves)

An empty answer scores 0. The 25 kinds of instructions are those of IFEval, with the same names and arguments:
arXiv 2311.07911, appendix.

Row: `instruction_id_list` and `kwargs` (one object per instruction), as fields of the row or in `reference_answer`.

    {"messages": [{"role": "user", "content": "Describe Oslo in at most 4 sentences and without commas."}],
     "reference_answer": {"instruction_id_list": ["punctuation:no_comma", "length_constraints:number_sentences"],
                          "kwargs": [{}, {"relation": "less than", "num_sentences": 5}]}}

What it cannot see: whether the answer is about the question. Sentences are counted by their marks, and languages are
told apart by script and frequent words, so counts at the edge and very short texts can differ from other programs'.
"""

import json
import re
from collections.abc import Callable
from typing import Any

STRICT = 0.5
"""Share of the reward that only an answer gets that follows every instruction."""

MAX_CHARACTERS = 50_000
"""Longer answers are cut before they are read."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""

SCRIPTS = {
    "kn": "\u0c80-\u0cff", "gu": "\u0a80-\u0aff", "pa": "\u0a00-\u0a7f", "ta": "\u0b80-\u0bff", "te": "\u0c00-\u0c7f",
    "bn": "\u0980-\u09ff", "th": "\u0e00-\u0e7f", "ko": "\uac00-\ud7af\u1100-\u11ff", "ja": "\u3040-\u30ff",
    "he": "\u0590-\u05ff", "el": "\u0370-\u03ff", "zh": "\u4e00-\u9fff", "Deva": "\u0900-\u097f",
    "Arab": "\u0600-\u06ff", "Cyrl": "\u0400-\u04ff", "Latn": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
}  # fmt: skip
WORDS = {
    "Deva": {
        "hi": "है के में की और से का हैं पर यह",
        "mr": "आहे आणि मध्ये या हे ते नाही आहेत एक व",
        "ne": "छ र को मा हो छन् पनि लागि यो गर्न",
    },
    "Arab": {
        "ar": "في من على إلى أن هذا التي هو عن ما",
        "fa": "و در به از که این را است با برای",
        "ur": "کے میں کی ہے اور سے کا کو نے ہیں",
    },
    "Cyrl": {"ru": "и в не на что с по это как для", "bg": "и на да се за от е са в което"},
    "Latn": {
        "en": "the and of to in is that for it you a are with this",
        "de": "der die und das ist nicht ein eine zu mit den ich",
        "it": "il di che la e un per non sono una del in",
        "pt": "o de que e não um para uma com os em do",
        "es": "el de que y los en un por con una las la",
        "fr": "le de et les des est un une que pour la dans",
        "fi": "ja on ei se että hän oli mutta joka kun ovat ole",
        "sw": "na ya wa kwa ni katika za la kuwa hii cha yako",
        "vi": "và là của có không một cho được trong các với người",
        "nl": "de het een en van is dat niet in op te zijn",
    },
}
"""Frequent words by script and language; a language of a script with none listed is told by the script alone."""

LANGUAGES = {language: script for script, words in WORDS.items() for language in words} | {
    script: script for script in SCRIPTS if len(script) == 2
}
ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|[A-Z])\.(?=\s)")

Check = Callable[[str, dict[str, Any]], bool]


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    names, arguments = expected(sample)
    text = after_reasoning(completion_of(sample))[:MAX_CHARACTERS]
    followed = [CHECKS[name](text, options) for name, options in zip(names, arguments, strict=True)]
    if not text.strip():
        followed = [False] * len(names)
    share, is_all = sum(followed) / len(followed), float(all(followed))
    return (1 - STRICT) * share + STRICT * is_all, {"share": share, "all": is_all}, {}


def expected(sample: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    """Names and arguments of the row's instructions."""
    reference = field_of(sample, "reference_answer")
    fields = reference if isinstance(reference, dict) else {}
    names = fields.get("instruction_id_list") or field_of(sample, "instruction_id_list")
    arguments = fields.get("kwargs") or field_of(sample, "kwargs") or [{}] * len(names or [])
    if not isinstance(names, list) or not names or not isinstance(arguments, list) or len(arguments) != len(names):
        raise ScoringError("the row needs instruction_id_list and kwargs, two lists of the same length")
    for name in names:
        if not isinstance(name, str) or name not in CHECKS:
            raise ScoringError(f"unknown instruction {str(name)[:80]!r}; known: {', '.join(CHECKS)}")
    if not all(isinstance(options, dict | None) for options in arguments):
        raise ScoringError("every entry of kwargs must be an object")
    return names, [options or {} for options in arguments]


def number(options: dict[str, Any], name: str) -> int:
    """An argument that is a whole number."""
    value = options.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise ScoringError(f"kwargs: {name} must be a whole number")
    return int(value)


def phrase(options: dict[str, Any], name: str) -> str:
    """An argument that is text."""
    value = options.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ScoringError(f"kwargs: {name} must be text")
    return value.strip()


def phrases(options: dict[str, Any], name: str) -> list[str]:
    """An argument that is a list of texts."""
    value = options.get(name)
    if not isinstance(value, list) or not value:
        raise ScoringError(f"kwargs: {name} must be a list of texts")
    return [phrase({name: one}, name) for one in value]


def related(count: int, options: dict[str, Any], relation: str, limit: str) -> bool:
    """Whether a count is "at least" or "less than" the limit."""
    kind, bound = options.get(relation), number(options, limit)
    if kind not in ("at least", "less than"):
        raise ScoringError(f'kwargs: {relation} must be "at least" or "less than"')
    return count >= bound if kind == "at least" else count < bound


def is_language(text: str, language: str) -> bool:
    """Whether most letters are of the language's script, and no other language of that script fits better."""
    if language not in LANGUAGES:
        raise ScoringError(f"kwargs: language {language[:20]!r} is not one of {', '.join(sorted(LANGUAGES))}")
    counts = {script: len(re.findall(f"[{letters}]", text)) for script, letters in SCRIPTS.items()}
    if counts["ja"]:
        counts["ja"] += counts["zh"]
    script = max(counts, key=lambda name: counts[name])
    if not counts[script] or script != LANGUAGES[language]:
        return False
    words = re.findall(r"[^\s.,;:!?()\"“”।۔،]+", text.casefold())
    hits = {name: sum(words.count(word) for word in common.split()) for name, common in WORDS.get(script, {}).items()}
    return not hits or hits[language] == max(hits.values())


def sentences(text: str) -> int:
    """Sentences, told by their end marks; an abbreviation's point is none."""
    plain = ABBREVIATION.sub(lambda found: found.group().replace(".", ""), text)
    return sum(bool(re.search(r"\w", part)) for part in re.split(r"[.!?。！？।]+[\"'”’)\]*]*(?:\s+|$)", plain))


def paragraphs(text: str, options: dict[str, Any]) -> bool:
    """Paragraphs divided by ***; an empty one counts only at the ends, and not as one."""
    parts = re.split(r"\s?\*\*\*\s?", text)
    inner = [part for index, part in enumerate(parts) if part.strip() or 0 < index < len(parts) - 1]
    return all(part.strip() for part in inner) and len(inner) == number(options, "num_paragraphs")


def first_word(text: str, options: dict[str, Any]) -> bool:
    """The n-th of so many paragraphs, divided by empty lines, starts with a word."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    nth, wanted = number(options, "nth_paragraph"), phrase(options, "first_word")
    if len(parts) != number(options, "num_paragraphs") or not 1 <= nth <= len(parts):
        return False
    return parts[nth - 1].split()[0].strip("\"'“”‘’*_.,?!:;").casefold() == wanted.casefold()


def postscript(text: str, options: dict[str, Any]) -> bool:
    """A line that starts with the marker, with or without spaces after its points."""
    marker = r"\.?\s?".join(map(re.escape, phrase(options, "postscript_marker").replace(".", "").replace(" ", "")))
    return re.search(rf"^\W*{marker}(?!\w)", text, re.IGNORECASE | re.MULTILINE) is not None


def highlights(text: str, options: dict[str, Any]) -> bool:
    """Parts between * or ** of one line."""
    found = re.findall(r"\*\*([^\n*]+)\*\*|\*([^\n*]+)\*", text)
    return sum(any(part.strip() for part in pair) for pair in found) >= number(options, "num_highlights")


def is_json(text: str, options: dict[str, Any]) -> bool:  # noqa: ARG001
    """One JSON value, with or without a code fence."""
    try:
        json.loads(re.sub(r"^\s*```(?:json)?|```\s*$", "", text, flags=re.IGNORECASE))
    except (ValueError, RecursionError):
        return False
    return True


def two_responses(text: str, options: dict[str, Any]) -> bool:  # noqa: ARG001
    """Two different answers divided by ******."""
    parts = [part.strip() for part in text.split("******")]
    parts = [part for index, part in enumerate(parts) if part or 0 < index < len(parts) - 1]
    return len(parts) == 2 and parts[0] != parts[1] and all(parts)


def capital_words(text: str) -> int:
    """Words in capital letters only."""
    return sum(word.isupper() for word in re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text))


def has_word(text: str, word: str) -> bool:
    """Whether the word stands alone somewhere."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def occurrences(text: str, word: str) -> int:
    """How often the text holds the word, inside others too."""
    return text.casefold().count(word.casefold())


CHECKS: dict[str, Check] = {
    "keywords:existence": lambda text, o: all(occurrences(text, word) for word in phrases(o, "keywords")),
    "keywords:forbidden_words": lambda text, o: not any(has_word(text, word) for word in phrases(o, "forbidden_words")),
    "keywords:frequency": lambda text, o: related(occurrences(text, phrase(o, "keyword")), o, "relation", "frequency"),
    "keywords:letter_frequency": lambda text, o: related(
        occurrences(text, phrase(o, "letter")), o, "let_relation", "let_frequency"
    ),
    "language:response_language": lambda text, o: is_language(text, phrase(o, "language")),
    "length_constraints:number_sentences": lambda text, o: related(sentences(text), o, "relation", "num_sentences"),
    "length_constraints:number_words": lambda text, o: related(
        len(re.findall(r"\w+", text)), o, "relation", "num_words"
    ),
    "length_constraints:number_paragraphs": paragraphs,
    "length_constraints:nth_paragraph_first_word": first_word,
    "detectable_content:number_placeholders": lambda text, o: (
        len(re.findall(r"\[[^\]]*\]", text)) >= number(o, "num_placeholders")
    ),
    "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": lambda text, o: (
        len(re.findall(r"^\s*(?:\*(?!\*)|-).+$", text, re.MULTILINE)) == number(o, "num_bullets")
    ),
    "detectable_format:constrained_response": lambda text, _: (
        sum(f"My answer is {word}." in text for word in ("yes", "no", "maybe")) == 1
    ),
    "detectable_format:number_highlighted_sections": highlights,
    "detectable_format:multiple_sections": lambda text, o: (
        len(re.findall(rf"{re.escape(phrase(o, 'section_spliter'))}\s?\d+", text)) >= number(o, "num_sections")
    ),
    "detectable_format:json_format": is_json,
    "detectable_format:title": lambda text, _: re.search(r"<<[^\n<>]*\w[^\n<>]*>>", text) is not None,
    "combination:two_responses": two_responses,
    "combination:repeat_prompt": lambda text, o: (
        text.strip().casefold().startswith(phrase(o, "prompt_to_repeat").casefold())
    ),
    "startend:end_checker": lambda text, o: (
        text.strip().strip('"').casefold().endswith(phrase(o, "end_phrase").casefold())
    ),
    "startend:quotation": lambda text, _: re.fullmatch(r'\s*".+"\s*', text, re.DOTALL) is not None,
    "change_case:capital_word_frequency": lambda text, o: related(
        capital_words(text), o, "capital_relation", "capital_frequency"
    ),
    "change_case:english_capital": lambda text, _: text.isupper() and is_language(text, "en"),
    "change_case:english_lowercase": lambda text, _: text.islower() and is_language(text, "en"),
    "punctuation:no_comma": lambda text, _: "," not in text,
}


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
