"""String checks and text similarity, against numbers worked out by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from nltk.corpus.reader.api import CorpusReader
from nltk.corpus.util import LazyCorpusLoader
from tests.rewards.openai.conftest import Grade

from tuneward.errors import GraderError
from tuneward.types import Verdict


def check(operation: str, **fields: str) -> dict[str, str]:
    texts = {"input": "{{sample.output_text}}", "reference": "{{ item.code }}", **fields}
    return {"type": "string_check", "name": "check", "operation": operation, **texts}


def similarity(metric: str) -> dict[str, str]:
    texts = {"input": "{{sample.output_text}}", "reference": "{{ item.text }}"}
    return {"type": "text_similarity", "name": "alike", "evaluation_metric": metric, **texts}


@pytest.mark.parametrize(
    ("operation", "rewards"),
    [
        ("eq", [1, 0, 0, 0, 0]),
        ("ne", [0, 1, 1, 1, 1]),
        ("neq", [0, 1, 1, 1, 1]),
        ("like", [1, 0, 1, 0, 1]),
        ("ilike", [1, 1, 1, 0, 1]),
    ],
)
def test_string_checks_compare_without_trimming(grade: Grade, operation: str, rewards: list[float]) -> None:
    scores = grade(check(operation), "E11.9", "e11.9", " E11.9", "E11", "It is E11.9.", item={"code": "E11.9"})
    assert [score.reward for score in scores] == rewards
    assert not any(score.is_failed for score in scores)


def test_an_answer_that_is_no_json_is_a_real_zero_with_its_flag(grade: Grade) -> None:
    grader = check("eq", input="{{sample.output_json.code}}")
    good, text, other = grade(grader, '{"code": "A"}', "A", '{"kode": "A"}', item={"code": "A"})
    assert good.reward == 1
    assert (text.reward, text.details["errors"]) == (0, {"sample_parse_error": True})
    assert (other.reward, other.details["errors"]) == (0, {"invalid_variable_error": True})
    assert other.details["error"] == 'sample.output_json.code is not in the answer: sample.output_json has no "code".'
    assert not text.is_failed
    assert not other.is_failed


def test_a_row_without_the_field_is_a_failed_score(grade: Grade) -> None:
    (score,) = grade(check("ne"), "A", item={"kode": "A"})
    assert math.isnan(score.reward)
    assert score.receipt.verdict is Verdict.INVALID
    assert score.receipt.message == 'Sample s-0: item.code is not in the row: item has no "code".'
    assert score.details["errors"] == {"invalid_variable_error": True}


def test_an_error_that_nobody_foresaw_costs_one_answer(grade: Grade) -> None:
    (score,) = grade(check("eq"), "A", item={"code": {1, 2}})  # No JSON, so no text.
    assert score.is_failed
    assert score.details["errors"] == {"other_error": True}
    assert "TypeError" in score.receipt.message


@pytest.mark.parametrize(
    ("metric", "text", "reference", "expected"),
    [
        # 4 of 6 words, 1 of 5 pairs, none of 4 triples and 3 quadruples (0.1 each by method 1), equal lengths.
        ("bleu", "the cat sat on the mat", "the cat was on a mat", (4 / 6 * 1 / 5 * 0.1 / 4 * 0.1 / 3) ** 0.25),
        # All 1- to 4-grams match (4, 3, 2, 1); brevity penalty exp(1 - 6/4).
        ("bleu", "the cat was on", "the cat was on a mat", math.exp(1 - 6 / 4)),
        # 5 of the 6 + 5 + 4 + 3 n-grams on either side.
        ("gleu", "the cat sat on the mat", "the cat was on a mat", 5 / 18),
        # 10 n-grams, all in the 18 of the reference: recall is the lesser.
        ("gleu", "the cat was on", "the cat was on a mat", 10 / 18),
        # The tokenizer cuts punctuation off: "mat" matches "mat.", 1 of 1 against 2.
        ("gleu", "mat", "mat.", 1 / 3),
        # Precision 2/2, recall 2/4.
        ("rouge_1", "The cat", "the cat sat down", 2 / 3),
        ("rouge_2", "the cat sat on the mat", "the cat was on a mat", 1 / 5),
        # Triples: 2 of 2 and 2 of 3; quadruples: 1 of 1 and 1 of 2; quintuples: none of 0.
        ("rouge_3", "a b c d", "a b c d e", 4 / 5),
        ("rouge_4", "a b c d", "a b c d e", 2 / 3),
        ("rouge_5", "a b c d", "a b c d e", 0),
        ("rouge_5", "a b c d e f", "a b c d e", 2 / 3),
        # Longest common subsequence: the cat on mat, 4 of 6.
        ("rouge_l", "the cat sat on the mat", "the cat was on a mat", 4 / 6),
        # No stemming.
        ("rouge_1", "cats", "cat", 0),
        # "hello  world " against "hello world", stripped: 22 of 23 characters match.
        ("fuzzy_match", "Hello, World!", "hello world", 22 / 23),
        # The same words in another order count 0.95.
        ("fuzzy_match", "world hello", "HELLO WORLD", 0.95),
        ("fuzzy_match", "same", "same", 1),
    ],
)
def test_similarity_has_the_value_worked_out_by_hand(
    grade: Grade, metric: str, text: str, reference: str, expected: float
) -> None:
    (score,) = grade(similarity(metric), text, item={"text": reference})
    assert score.reward == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", ["bleu", "gleu", "fuzzy_match", "rouge_1", "rouge_5", "rouge_l"])
def test_empty_texts_have_a_value(grade: Grade, metric: str) -> None:
    for reference in ("", "a b c"):
        assert [score.reward for score in grade(similarity(metric), "", "!", item={"text": reference})] == [0, 0]


def test_meteor_without_its_data_says_how_to_get_it(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nltk.data.path", [])
    monkeypatch.setattr("nltk.corpus.wordnet", LazyCorpusLoader("absent", CorpusReader))
    with pytest.raises(GraderError, match=r"python -m nltk.downloader wordnet"):
        grade(similarity("meteor"), "a")


class NoSynonyms:
    """A WordNet in which no word has a synonym."""

    def ensure_loaded(self) -> None: ...

    def synsets(self, _word: str) -> list[Any]:
        return []


def test_meteor_matches_stems_and_punishes_fragments(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nltk.corpus.wordnet", NoSynonyms())
    whole, pieces = grade(similarity("meteor"), "the cats sat", "sat the cat", item={"text": "the cat sat"})
    assert whole.reward == pytest.approx(1 - 0.5 * (1 / 3) ** 3)  # One chunk of three words.
    assert pieces.reward == pytest.approx(1 - 0.5 * (2 / 3) ** 3)  # Two chunks.


def test_cosine_without_its_library_names_the_extra(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(GraderError, match=r"tuneward\[embeddings\]"):
        grade(similarity("cosine"), "a")


def test_cosine_is_that_of_the_embeddings(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    class Encoder:
        def __init__(self, model: str) -> None:
            loaded.append(model)

        def encode(self, texts: list[str]) -> list[list[float]]:
            return [[float(text.count("a")), float(text.count("b")) - float(text.count("z"))] for text in texts]

    library = ModuleType("sentence_transformers")
    library.SentenceTransformer = Encoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    models = {"text-embedding-3-large": "/models/small"}
    scores = grade(similarity("cosine"), "a", "ab", "b", "z", "", item={"text": "b"}, connection={"models": models})
    assert [score.reward for score in scores] == pytest.approx([0, math.sqrt(0.5), 1, 0, 0])
    assert loaded == ["/models/small"]


def test_no_heavy_library_is_loaded_for_a_string_check() -> None:
    heavy = ("torch", "transformers", "nltk", "sacrebleu", "rouge_score", "rapidfuzz", "httpx")
    code = f"import sys, tuneward.rewards.openai; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
