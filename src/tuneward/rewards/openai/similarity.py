"""Measures of how alike two texts are, 0 to 1.

Source: OpenAI grader contract, 5.4; where it leaves a choice open, the docstring of the measure names ours.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from tuneward.errors import GraderError

Measure: TypeAlias = Callable[[str, str], float]
"""(graded text, reference) → similarity."""

EMBEDDING_NAME = "text-embedding-3-large"
"""What the contract's `cosine` compares with; `connection.models` says which model stands for it here."""
EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def build_measure(metric: str, models: Mapping[str, str]) -> Measure:
    """The measure of this name, with what it needs loaded, so that threads may use it.

    Args:
        metric: `evaluation_metric` of the grader.
        models: names of models, as in `connection.models`.

    Raises:
        GraderError: data or a package that the measure needs is missing; says how to get it.
    """
    match metric:
        case "fuzzy_match":
            return _fuzzy_match()
        case "bleu" | "gleu":
            return _bleu() if metric == "bleu" else _gleu()
        case "meteor":
            return _meteor()
        case "cosine":
            return _cosine(models.get(EMBEDDING_NAME, EMBEDDING_MODEL))
        case _:
            return _rouge(metric)


def _fuzzy_match() -> Measure:
    """Weighted ratio of RapidFuzz, over text in lower case with everything but letters and digits as blanks."""
    from rapidfuzz import fuzz, utils

    return lambda text, reference: fuzz.WRatio(text, reference, processor=utils.default_process) / 100


def _bleu() -> Measure:
    """BLEU of one sentence up to 4-grams; a count of 0 is taken as 0.1 (method 1 of Chen and Cherry, W14-3346).

    So a text of fewer than four words never reaches 1: it has no 4-gram.
    """
    tokens = _tokenizer()
    bleu = importlib.import_module("nltk.translate.bleu_score")
    smoothing = bleu.SmoothingFunction().method1
    return lambda text, reference: float(
        bleu.sentence_bleu([tokens(reference)], tokens(text), smoothing_function=smoothing)
    )


def _gleu() -> Measure:
    """Google's BLEU of one sentence, 1- to 4-grams: the lesser of precision and recall. Source: arXiv 1609.08144."""
    tokens = _tokenizer()
    gleu = importlib.import_module("nltk.translate.gleu_score")
    return lambda text, reference: float(gleu.sentence_gleu([tokens(reference)], tokens(text)))


def _meteor() -> Measure:
    """METEOR with Porter stems and synonyms of WordNet, parameters of the NLTK."""
    corpus = importlib.import_module("nltk.corpus").wordnet
    try:
        corpus.ensure_loaded()  # It loads itself on first use otherwise, which two threads must not do at once.
    except LookupError:
        raise GraderError(
            "The metric meteor needs the WordNet data of the NLTK, which is not there. "
            "Get it with: python -m nltk.downloader wordnet"
        ) from None
    tokens = _tokenizer()
    meteor = importlib.import_module("nltk.translate.meteor_score")
    return lambda text, reference: float(meteor.single_meteor_score(tokens(reference), tokens(text), wordnet=corpus))


def _rouge(metric: str) -> Measure:
    """F-measure of ROUGE-1 to ROUGE-5 or ROUGE-L, words in lower case and not stemmed."""
    scorer = importlib.import_module("rouge_score.rouge_scorer")
    name = "rougeL" if metric == "rouge_l" else metric.replace("_", "")
    rouge: Any = scorer.RougeScorer([name], use_stemmer=False)
    return lambda text, reference: float(rouge.score(reference, text)[name].fmeasure)


def _cosine(model: str) -> Measure:
    """Cosine of the texts' embeddings by a local model; opposite directions count as 0."""
    try:
        library = importlib.import_module("sentence_transformers")
    except ImportError:
        raise GraderError(
            "The metric cosine needs an embedding library. Install it with: pip install 'tuneward[embeddings]'"
        ) from None
    try:
        encoder = library.SentenceTransformer(model)
    except (OSError, ValueError) as error:
        raise GraderError(
            f"The embedding model {model} cannot be loaded ({error}). "
            f"Name another one, or its folder, in connection.models under {EMBEDDING_NAME}."
        ) from None
    return partial(_cosine_of, encoder)


def _cosine_of(encoder: Any, text: str, reference: str) -> float:
    first, second = ([float(x) for x in vector] for vector in encoder.encode([text, reference]))
    lengths = math.hypot(*first) * math.hypot(*second)
    product = math.fsum(a * b for a, b in zip(first, second, strict=True))
    return min(1.0, max(0.0, product / lengths)) if lengths else 0.0


def _tokenizer() -> Callable[[str], list[str]]:
    """Words and punctuation as mteval-v13a cuts them, the custom of published BLEU scores."""
    tokenizer: Any = importlib.import_module("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
    return lambda text: str(tokenizer(text)).split()
