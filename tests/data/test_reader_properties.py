"""The reader on arbitrary bytes and on generated rows."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.data import Problem, Severity, iter_rows, read_rows
from tuneward.types import Row

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
near_rows = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "bot"]) | json_values,
                    "content": st.text() | json_values,
                    "tool_calls": json_values,
                },
            )
            | json_values,
            max_size=3,
        )
        | json_values,
        "id": json_values,
        "tools": json_values,
        "metadata": json_values,
        "reference_answer": json_values,
        "extra": json_values,
    },
)
line_bytes = st.one_of(
    st.binary(max_size=60),
    near_rows.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"", b" ", b"\r", b"\xef\xbb\xbf", b"{" * 50]),
)


@settings(deadline=None, max_examples=300)
@given(lines=st.lists(line_bytes, max_size=6), ending=st.sampled_from([b"\n", b"\r\n"]))
def test_whatever_the_bytes_every_line_is_a_row_or_an_error_exactly_once(tmp_path_factory, lines, ending):
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    content = ending.join(lines)
    path.write_bytes(content)
    items = list(iter_rows(path, max_line_bytes=400))
    rows = [item.line for item in items if isinstance(item, Row)]
    bad = {item.line for item in items if isinstance(item, Problem) and item.severity is Severity.ERROR}
    expected = {n for n, line in enumerate(content.split(b"\n"), 1) if line.strip() or len(line) >= 400}
    assert len(rows) == len(set(rows))
    assert not bad & set(rows)
    assert bad | set(rows) == (expected or {0})


texts = st.text(min_size=1).filter(str.strip)


@settings(deadline=None)
@given(
    contents=st.lists(texts, min_size=1, max_size=4),
    reference=json_values,
    extras=st.dictionaries(st.text().map(lambda key: "x" + key), json_values, max_size=3),
)
def test_a_valid_row_survives_writing_and_reading(tmp_path_factory, contents, reference, extras):
    roles = ["user", "assistant", "tool", "user"]
    messages = [{"role": role, "content": text} for role, text in zip(roles, contents, strict=False)]
    path = tmp_path_factory.mktemp("valid") / "valid.jsonl"
    row = {"messages": messages, "reference_answer": reference, "id": "r", **extras}
    path.write_text(json.dumps(row), encoding="utf-8")
    assert read_rows(path) == [
        Row(id="r", messages=tuple(messages), reference_answer=reference, metadata=extras, line=1)
    ]
