"""Templates: plain substitution, how values read, and whose fault a missing one is."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tuneward.rewards.openai.case import Case, case_of_text
from tuneward.rewards.openai.outcome import FaultError
from tuneward.rewards.openai.template import parse_template, render_all
from tuneward.types import Verdict

KEYS = st.text("abcXYZ_-09é", min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def render(template: str, item: dict[str, Any], output: str = "") -> str:
    return parse_template(template).render(case_of_text("s", output, item))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, ""),
        (True, "true"),
        (5, "5"),
        (1.5, "1.5"),
        ({"a": 1, "é": [None]}, '{"a":1,"é":[null]}'),
    ],
)
def test_strings_stay_and_everything_else_is_json(value: Any, text: str) -> None:
    assert render("<{{ item.x }}>", {"x": value}) == f"<{text}>"


def test_paths_go_through_objects_and_lists() -> None:
    item = {"refs": [{"text": "first"}, {"text": "second"}], "my-key": {"0": "zero"}}
    assert render("{{item.refs[1].text}} {{ item.my-key.0 }}", item) == "second zero"


def test_the_answer_is_there_as_text_and_as_json() -> None:
    output = '{"passages": ["a", "b"]}'
    assert render("{{sample.output_text}}", {}, output) == output
    assert render("{{ sample.output_json.passages[1] }}", {}, output) == "b"
    assert render("{{sample.choices[0].message.content}}", {}, output) == output


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_text_without_double_braces_stays_as_it_is(text: str) -> None:
    assume("{{" not in text)
    assert render(text, {}) == text


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), st.data())
def test_every_path_of_a_row_is_found(item: dict[str, Any], data: st.DataObject) -> None:
    path, value = "item", item
    while isinstance(value, dict | list) and value and (value is item or data.draw(st.booleans())):
        if isinstance(value, dict):
            key = data.draw(st.sampled_from(sorted(value)))
            path, value = f"{path}.{key}", value[key]
        else:
            index = data.draw(st.integers(0, len(value) - 1))
            path, value = f"{path}[{index}]", value[index]
    expected = value if isinstance(value, str) else "" if value is None else None
    shown = render(f"a{{{{ {path} }}}}b", item)[1:-1]
    if expected is None:
        assert json.loads(shown) == value
    else:
        assert shown == expected.encode(errors="replace").decode()


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="{} item.sample[0]x|"))
def test_any_text_is_read_or_refused_(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_template(text)


def test_what_is_put_in_is_not_a_template() -> None:
    assert render("{{item.a}}{{item.b}}", {"a": "{{item.b}}", "b": "{{"}) == "{{item.b}}{{"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ row.x }}", "names neither item nor sample"),
        ("{{ }}", "names neither"),
        ("{{ items.x }}", "names neither"),
        ("{{ item.x | upper }}", "more than a path"),
        ("{{ item.x + 1 }}", "more than a path"),
        ("{{ item['x'] }}", "more than a path"),
        ("{{ item.x[-1] }}", "more than a path"),
        ("{{ item. }}", "more than a path"),
        ("ab {{ item.x }", "at character 4 is never closed"),
        ("{{ sample.output_txt }}", 'did you mean "sample.output_text"'),
    ],
)
def test_templates_that_could_never_work_are_refused(template: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_template(template)
    assert reason in str(caught.value)


def fault(template: str, case: Case) -> FaultError:
    with pytest.raises(FaultError) as caught:
        render_all([parse_template(template)], case)
    return caught.value


def test_a_missing_field_of_the_row_is_not_the_answers_fault() -> None:
    missing = fault("{{item.refs[2].text}}", case_of_text("s", "", {"refs": [1]}))
    assert missing.errors == {"invalid_variable_error": True}
    assert missing.verdict is Verdict.INVALID
    assert missing.message == "item.refs[2].text is not in the row: item.refs has no entry 2."


def test_an_answer_that_is_not_json_is_the_answers_fault() -> None:
    for output in ("x", "{", "[NaN]", "{'a': 1}", "[" * 100_000):
        not_json = fault("{{sample.output_json.a}}", case_of_text("s", output, {}))
        assert not_json.errors == {"sample_parse_error": True}
        assert not_json.verdict is Verdict.OK


def test_a_missing_field_of_the_answer_is_the_answers_fault() -> None:
    for output in ('{"b": 1}', "null", "[1]", '{"a": null}'):
        missing = fault("{{sample.output_json.a.b}}", case_of_text("s", output, {}))
        assert missing.errors == {"invalid_variable_error": True}
        assert missing.verdict is Verdict.OK


def test_the_row_is_named_first_when_both_lack_something() -> None:
    case = case_of_text("s", "not JSON", {})
    assert fault("{{sample.output_json.a}} {{item.b}}", case).verdict is Verdict.INVALID


def test_half_a_surrogate_pair_becomes_a_character_that_can_be_sent() -> None:
    assert render("{{sample.output_json}}", {}, '"a\\ud800"') == "a?"
