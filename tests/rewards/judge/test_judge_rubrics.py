"""Rubric files: the ready-made ones, a user's own, and what is wrong with one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuneward.config import load_config
from tuneward.errors import GraderError
from tuneward.rewards.judge.rubric import Header, load_rubric, parse_rubric, ready_made_rubrics
from tuneward.rewards.judge.variables import MissingVariableError, values_of
from tuneward.rewards.judge.verdict import Judgement, reward_of
from tuneward.types import Row, Sample

NAMES = ["content_moderation", "instruction_following", "rag_faithfulness", "reasoning", "summarization", "tone"]


def test_the_ready_made_rubrics_describe_themselves() -> None:
    rubrics = ready_made_rubrics()
    assert [rubric.name for rubric in rubrics] == NAMES
    for rubric in rubrics:
        assert rubric.description.endswith("?")
        assert "messages" in rubric.header.row_format
        assert rubric.path is not None
        assert rubric.path.stem == rubric.name
        assert set(rubric.header.variables) == set(rubric.variables) >= {"prompt", "response"}
        assert rubric.header.criteria
        assert load_rubric(rubric.name) == rubric


def test_a_copy_of_a_rubric_works_like_the_original(tmp_path: Path) -> None:
    copy = tmp_path / "mine.md"
    original = load_rubric("summarization")
    copy.write_text(original.source)
    assert load_rubric(copy).header == original.header
    assert load_rubric(str(copy)).digest == original.digest
    copy.write_text(original.source + "\nMore.\n")
    assert load_rubric(copy).digest != original.digest


def test_a_text_is_the_same_rubric_as_a_file_with_it() -> None:
    original = load_rubric("tone")
    text = parse_rubric(original.source)
    assert (text.header, text.body, text.digest) == (original.header, original.body, original.digest)
    assert parse_rubric("Good?\r\n{{response}}").name == "custom"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good?", "judge.rubric_text: the rubric never shows the completion"),
        ("---\nscale: 2026-13-45\n---\n{{response}}", "front matter is not valid YAML"),
        ("---\n" + "[" * 5_000 + "\n---\n{{response}}", "judge.rubric_text: the front matter"),
        ("---\n? [a]\n: b\n---\n{{response}}", "judge.rubric_text: the front matter"),
        ("---\n1: b\n---\n{{response}}", "judge.rubric_text: front matter"),
        ("\ud800 {{response}} {{\ud800}}", "names no variable"),
    ],
)
def test_any_text_is_a_rubric_or_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(GraderError, match=words):
        parse_rubric(text)


def test_a_file_needs_no_front_matter(tmp_path: Path) -> None:
    file = tmp_path / "short.md"
    file.write_bytes("\ufeffGood?\r\n{{ response }} and {{response}} for {{metadata.kind}}".encode())
    rubric = load_rubric(file)
    assert (rubric.name, rubric.header.scale) == ("short", (0, 1))
    assert rubric.variables == ("response", "metadata.kind")
    rendered = rubric.render({"response": "{{metadata.kind}}", "metadata.kind": "K"})
    assert rendered == "Good?\n{{metadata.kind}}\n and \n{{metadata.kind}}\n for \nK"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good?", "never shows the completion"),
        ("---\nname: x\n---\nGood?\n{{response}} {{a b}}", r"line 5: \{\{a b\}\} names no variable"),
        ("---\nscale: [5, 1]\n---\n{{response}}", "front matter, scale: the highest score must be above the lowest"),
        ("---\nscore_from: criteria\n---\n{{response}}", "there are no criteria"),
        ("---\ncritera: {}\n---\n{{response}}", 'critera: unknown key; did you mean "criteria"'),
        ("---\ncriteria: {not a name: x}\n---\n{{response}}", "front matter, criteria.not a name"),
        ("---\n- a\n---\n{{response}}", "holds no keys and values"),
        ("---\na: [\n---\n{{response}}", "not valid YAML"),
        ("---\nvariables: {response: x, context: y}\n---\n{{response}}", "disagree about context"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "own.md"
    file.write_text(text)
    with pytest.raises(GraderError, match=words) as caught:
        load_rubric(file)
    assert str(file) in str(caught.value)


def test_a_rubric_file_in_a_configuration_counts_from_its_folder(tmp_path: Path) -> None:
    for rubric, expected in (("own.md", str(tmp_path / "own.md")), ("tone", "tone")):
        file = tmp_path / "config.yaml"
        file.write_text(f"data: {{train: t.jsonl}}\nreward: {{judge: {{model: m, rubric: {rubric}}}}}\n")
        judge = load_config(file, ()).reward.judge
        assert judge is not None
        assert judge.rubric == expected


def test_criteria_are_weighed_and_scaled() -> None:
    header = Header.model_validate(
        {
            "name": "x",
            "score_from": "criteria",
            "criteria": {"a": "It is a.", "b": {"met": "It is b.", "weight": 2, "scale": [1, 5]}},
        }
    )
    assert reward_of(Judgement("", {"a": True, "b": 3}, 0), header, (0, 1)) == pytest.approx(2 / 3)
    assert reward_of(Judgement("", {"a": False, "b": 9}, 0), header, (0, 1)) == pytest.approx(2 / 3)


def test_variables_come_from_the_row() -> None:
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi {{response}}"})
    row = Row(
        "r", messages, {"answer": [1, "zwei"]}, {"context": "C", "docs": [{"text": "D"}], "empty": "", "null": None}
    )
    sample = Sample("s", row, "R")
    names = ["response", "prompt", "reference", "context", "empty", "mine", "metadata.docs.0.text"]
    values = values_of(sample, names, {"mine": "reference_answer.answer.1"})
    assert values == {
        "response": "R",
        "prompt": "system: Be brief.\n\nuser: Hi {{response}}",
        "reference": '{"answer": [1, "zwei"]}',
        "context": "C",
        "empty": "",
        "mine": "zwei",
        "metadata.docs.0.text": "D",
    }
    for field in ("null", "nothing", "docs.7.text", "docs.text", "context.more"):
        with pytest.raises(MissingVariableError, match=f'Row r has no "{field}"'):
            values_of(sample, ["x"], {"x": field})
