"""Formulas of `multi`: grammar, precedence, and no value where there is none."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.rewards.openai.formula import FUNCTIONS, Formula

NAMES = ("a", "b", "long_name2")
PYTHON = {"__builtins__": {}, "min": min, "max": max, "abs": abs, "sqrt": math.sqrt, "floor": math.floor,
          "ceil": math.ceil, "exp": math.exp, "log": math.log}  # fmt: skip


def _bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", " - ", "*", "/", "^"]), inner).map("".join),
        inner.map("-{}".format),
        inner.map("+{}".format),
        inner.map("({})".format),
        st.tuples(st.sampled_from(["abs", "sqrt", "floor", "ceil", "exp", "log", "min"]), inner).map(
            lambda part: f"{part[0]}( {part[1]} )"
        ),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner, inner).map(
            lambda part: f"{part[0]}({part[1]},{part[2]} , {part[3]})"
        ),
    )


NUMBERS = st.sampled_from(["0", "1", "2", "3.5", ".25", "1e1", "2.", "1E-2"])
EXPRESSIONS = st.recursive(NUMBERS | st.sampled_from(NAMES), _bigger, max_leaves=8)


@settings(max_examples=100, deadline=None)
@given(EXPRESSIONS, st.tuples(*[st.floats(-4, 4)] * 3))
def test_a_formula_has_the_value_that_python_gives_it(text: str, numbers: tuple[float, ...]) -> None:
    values = dict(zip(NAMES, numbers, strict=True))
    # Python's ** binds as our ^ should; min and max of one number alone mean that number.
    python = text.replace("^", "**")
    names = {**PYTHON, "min": lambda *v: min(v), "max": lambda *v: max(v), **values}
    try:
        expected = eval(python, names)
        is_finite = not isinstance(expected, complex) and math.isfinite(expected)
    except (ArithmeticError, ValueError, TypeError):  # TypeError: a comparison with a complex number.
        is_finite = False
    if is_finite:
        try:
            assert Formula(text)(values) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)
        except ValueError:
            # A step inside may have had no real value that the whole does not show, as in 1 / exp(exp(9)).
            assert "^" in text or "exp" in text
    else:
        with pytest.raises(ValueError):
            Formula(text)(values)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2^2", -4),
        ("2^3^2", 512),
        ("2^-1", 0.5),
        ("2*-3", -6),
        ("8/4/2", 1),
        ("8-4-2", 2),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("min(3, 1, 2) + max(4)", 5),
        ("log(exp(1))", 1),
        ("floor(-1.5) + ceil(1.2)", 0),
        ("abs(-sqrt(16))", 4),
        ("min + max", 3),
    ],
)
def test_precedence_and_functions(text: str, value: float) -> None:
    assert Formula(text)({"min": 1.0, "max": 2.0}) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["1/(a-a)", "log(0*a)", "sqrt(-1-a)", "(-8-a)^0.5", "exp(1000+a)", "10^400*a", "0^-1", "9e307*9*a"]
)
def test_what_has_no_finite_value_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is no finite number"):
        Formula(text)({"a": 1.0})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ends where a number"),
        ("a +", "ends where a number"),
        ("a b", '"b" at character 3 stands where an operator'),
        ("(a", "ends where a closing parenthesis"),
        ("a)", '")" at character 2'),
        ("a ** b", '"*" at character 4'),
        ("min()", '")" at character 5'),
        ("abs(a, b)", "abs takes one value, not 2"),
        ("pow(a, 2)", 'no function "pow"'),
        ("a.b", '"." at character 2 is not part'),
        ("a if b else 1", '"if" at character 3'),
        ("__import__('os')", "is not part of any formula"),
        ("a; b", '";" at character 2'),
        ("1e999", "beyond any number"),
        ("(" * 500 + "1" + ")" * 500, "nested deeper"),
        ("-" * 5000 + "1", "nested deeper"),
        ("1+" * 6000 + "1", "at most 10000"),
    ],
)
def test_what_is_no_formula_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        Formula(text)
    assert reason in str(caught.value)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab12.+-*/^(), eminxqrt", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        Formula(text)


def test_a_long_sum_is_no_deep_recursion() -> None:
    assert Formula("+".join(["a"] * 4000))({"a": 1.0}) == 4000


def test_names_are_told_without_functions() -> None:
    assert Formula("0.5*exact + min(prose, exact) + b_2").names == ["exact", "prose", "b_2"]
    assert set(FUNCTIONS) == {"min", "max", "abs", "floor", "ceil", "exp", "sqrt", "log"}
