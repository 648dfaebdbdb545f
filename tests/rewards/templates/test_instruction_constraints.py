"""instruction_constraints: each kind of instruction tells a following answer from one that does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from tests.rewards.templates.conftest import Answer, json_lines

Score = Callable[..., float]
NAME = "instruction_constraints"

FOLLOWED: dict[str, tuple[dict[str, Any], str, str]] = {
    "keywords:existence": ({"keywords": ["fjord", "sea"]}, "The Fjord meets the sea.", "The sea."),
    "keywords:forbidden_words": ({"forbidden_words": ["cat"]}, "A category.", "A Cat!"),
    "keywords:frequency": ({"keyword": "sea", "frequency": 2, "relation": "at least"}, "Sea, sea", "sea"),
    "keywords:letter_frequency": (
        {"letter": "!", "let_frequency": 2, "let_relation": "less than"}, "Oh! No", "Oh! No!",
    ),
    "language:response_language": (
        {"language": "de"}, "Das ist der Fjord und er ist nicht klein.", "This is the fjord and it is not small.",
    ),
    "length_constraints:number_sentences": (
        {"num_sentences": 3, "relation": "less than"}, "Dr. Ada came at 3.5 km. She left.", "One. Two! Three?",
    ),
    "length_constraints:number_words": ({"num_words": 3, "relation": "at least"}, "one two three", "one two"),
    "length_constraints:number_paragraphs": ({"num_paragraphs": 2}, "one\n***\ntwo", "one\n\ntwo"),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "weekend"},
        "One.\n\n*Weekend*, yes.", "One.\n\nNo weekend",
    ),
    "detectable_content:number_placeholders": ({"num_placeholders": 2}, "[name] of [town]", "[name]"),
    "detectable_content:postscript": ({"postscript_marker": "P.P.S"}, "Bye.\nP.P.S. More", "Bye. P.S. More"),
    "detectable_format:number_bullet_lists": ({"num_bullets": 2}, "* a\n- b\n**c**", "* a\n* b\n* c"),
    "detectable_format:constrained_response": ({}, "My answer is maybe.", "Maybe."),
    "detectable_format:number_highlighted_sections": ({"num_highlights": 2}, "*a* and **b**", "*a* and * *"),
    "detectable_format:multiple_sections": (
        {"section_spliter": "SECTION", "num_sections": 2}, "SECTION 1\na\nSECTION 2\nb", "SECTION 1\na",
    ),
    "detectable_format:json_format": ({}, '```json\n{"a": 1}\n```', "{a: 1}"),
    "detectable_format:title": ({}, "<<Oslo>>\nA town.", "<< >>\nA town."),
    "combination:two_responses": ({}, "one ****** two", "one ****** one"),
    "combination:repeat_prompt": ({"prompt_to_repeat": "Name a town."}, "name a town. Oslo", "Oslo"),
    "startend:end_checker": ({"end_phrase": "Any questions?"}, 'Oslo. Any questions?"', "Any questions? No."),
    "startend:quotation": ({}, ' "Oslo is a town." ', '"Oslo" is a town.'),
    "change_case:capital_word_frequency": (
        {"capital_frequency": 2, "capital_relation": "less than"}, "OSLO is a Town", "OSLO IS",
    ),
    "change_case:english_capital": ({}, "THE TOWN IS NEAR THE SEA.", "The town is near the sea."),
    "change_case:english_lowercase": ({}, "the town is near the sea.", "die stadt ist am meer und nicht im wald."),
    "punctuation:no_comma": ({}, "Oslo and Bergen", "Oslo, Bergen"),
}  # fmt: skip


def reward(score: Score, text: str, *names: str) -> float:
    return score(NAME, {"instruction_id_list": list(names), "kwargs": [FOLLOWED[name][0] for name in names]}, text)


@pytest.mark.parametrize("name", FOLLOWED)
def test_each_kind_tells_following_from_not_following(score: Score, name: str) -> None:
    _, good, bad = FOLLOWED[name]
    assert reward(score, good, name) == 1
    assert reward(score, bad, name) == 0
    assert reward(score, "  ", name) == 0


def test_following_some_earns_half_their_share(score: Score) -> None:
    names = ("punctuation:no_comma", "detectable_format:constrained_response")
    assert reward(score, "My answer is no.", *names) == 1
    assert reward(score, "No", *names) == pytest.approx(0.25)


SAMPLES = {
    "hi": "यह शहर समुद्र के पास है और लोग यहाँ खुश हैं।",
    "mr": "हे शहर समुद्राजवळ आहे आणि लोक आनंदी आहेत.",
    "ne": "यो शहर समुद्र नजिकै छ र मानिसहरू खुशी छन्।",
    "ar": "تقع المدينة على البحر في الشمال من البلاد.",
    "fa": "این شهر در کنار دریا است و مردم را شاد می‌کند.",
    "ur": "یہ شہر سمندر کے کنارے ہے اور لوگ خوش ہیں۔",
    "ru": "Город стоит у моря, и это не так далеко, как на карте.",
    "bg": "Градът е на брега и хората са щастливи да живеят в него.",
    "en": "The town is near the sea and it is not big.",
    "de": "Die Stadt ist am Meer und sie ist nicht groß.",
    "it": "La città è sul mare e non è grande per una capitale.",
    "pt": "A cidade não é grande, mas fica junto do mar com um porto.",
    "fi": "Kaupunki on meren rannalla ja se ei ole suuri.",
    "sw": "Mji huu ni mzuri na watu wa mji wanaishi kwa furaha katika pwani.",
    "vi": "Thành phố này là một nơi đẹp và không lớn của các con người.",
    "kn": "ಈ ನಗರವು ಸಮುದ್ರದ ಬಳಿ ಇದೆ.",
    "gu": "આ શહેર દરિયાની નજીક છે.",
    "pa": "ਇਹ ਸ਼ਹਿਰ ਸਮੁੰਦਰ ਦੇ ਨੇੜੇ ਹੈ।",
    "ta": "இந்த நகரம் கடலுக்கு அருகில் உள்ளது.",
    "te": "ఈ నగరం సముద్రం దగ్గర ఉంది.",
    "bn": "শহরটি সমুদ্রের কাছে।",
    "th": "เมืองนี้อยู่ใกล้ทะเล",
    "ko": "이 도시는 바다 근처에 있습니다.",
}


def test_every_language_is_told_from_the_others(score: Score) -> None:
    for (language, text), asked in itertools.product(SAMPLES.items(), SAMPLES):
        followed = score(
            NAME, {"instruction_id_list": ["language:response_language"], "kwargs": [{"language": asked}]}, text
        )
        assert followed == (language == asked), (language, asked)


def test_every_row_of_ifeval_is_understood_and_its_echo_is_not_perfect(answer: Answer) -> None:
    rows = json_lines("ifeval", "input_data.jsonl")
    assert len(rows) == 541
    assert {name for row in rows for name in row["instruction_id_list"]} == FOLLOWED.keys()
    echoes = []
    for row in rows:
        fields = {name: row[name] for name in ("instruction_id_list", "kwargs")}
        for text in ("", "Oslo.", row["prompt"]):
            entry = answer(NAME, None, text, **fields)
            assert "error" not in entry, (row["key"], entry)
            assert text or entry["aggregate_reward_score"] == 0
        echoes.append(entry["aggregate_reward_score"] == 1)
    assert sum(echoes) < 0.2 * len(rows)


@pytest.mark.parametrize(
    ("names", "arguments", "fragment"),
    [
        (["keywords:frequency"], [{"keyword": "a", "relation": "about", "frequency": 1}], "at least"),
        (["keywords:frequency"], [{"keyword": "a", "relation": "at least"}], "frequency"),
        (["keywords:sort"], [{}], "unknown instruction"),
        (["punctuation:no_comma"], [{}, {}], "same length"),
        (["language:response_language"], [{"language": "xx"}], "language"),
        ([], [], "instruction_id_list"),
    ],
)
def test_a_row_that_asks_for_the_unknown_is_an_error(
    answer: Answer, names: list[str], arguments: list[Any], fragment: str
) -> None:
    entry = answer(NAME, {"instruction_id_list": names, "kwargs": arguments}, "Oslo is a town.")
    assert fragment in entry["error"]
    assert "aggregate_reward_score" not in entry
