"""The formula of a `multi` grader: numbers, names, `+ - * / ^`, parentheses and eight functions.

    sum     = product { ("+" | "-") product }
    product = factor { ("*" | "/") factor }
    factor  = { "+" | "-" } power
    power   = atom [ "^" factor ]
    atom    = number | name | function "(" sum { "," sum } ")" | "(" sum ")"

So `^` binds to the right and above a minus in front: -2^2 is -4. Source: OpenAI grader contract, 5.8.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

NAME = re.compile(r"[^\W\d]\w*")
TOKEN = re.compile(
    rf"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>{NAME.pattern})|(?P<sign>[-+*/^(),]))"
)

MAX_CHARACTERS = 10_000
MAX_DEPTH = 50
"""Parentheses, signs and powers within each other; more would overflow the stack."""

Function = Callable[..., float]

BINARY: Mapping[str, Function] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": math.pow,
}
FUNCTIONS: Mapping[str, Function] = {
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "log": math.log,
}
VARIADIC = ("min", "max")


@dataclass(frozen=True, slots=True)
class _Apply:
    """Take `count` values from the stack, put one back."""

    name: str
    function: Function
    count: int


class Formula:
    """A parsed formula.

    Args:
        text: the formula; names may be any that later get a value.

    Raises:
        ValueError: it is not a formula; says where.
    """

    def __init__(self, text: str) -> None:
        parser = _Parser(text)
        parser.parse()
        self._steps: tuple[float | str | _Apply, ...] = tuple(parser.steps)

    @property
    def names(self) -> list[str]:
        """Variables, in the order in which they stand."""
        return list(dict.fromkeys(step for step in self._steps if isinstance(step, str)))

    def __call__(self, values: Mapping[str, float]) -> float:
        """The formula's value.

        Raises:
            ValueError: there is none: division by zero, log of 0, or a number beyond any float.
        """
        stack: list[float] = []
        for step in self._steps:
            if isinstance(step, _Apply):
                arguments = stack[-step.count :]
                del stack[-step.count :]
                shown = ", ".join(f"{value:g}" for value in arguments)
                try:
                    value = float(step.function(*arguments))
                except (ArithmeticError, ValueError):
                    value = math.nan
                if not math.isfinite(value):
                    raise ValueError(f"{step.name} of {shown} is no finite number")
                stack.append(value)
            else:
                stack.append(values[step] if isinstance(step, str) else step)
        return stack[0]


class _Parser:
    """Turns text into steps for a stack, so that long sums need no deep recursion."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"it has {len(text)} characters; at most {MAX_CHARACTERS} are read")
        self.steps: list[float | str | _Apply] = []
        self._depth = 0
        self._tokens = _tokens(text)
        self._next = 0

    def parse(self) -> None:
        self._sum()
        if self._kind != "end":
            raise self._unexpected("an operator")

    @property
    def _kind(self) -> str:
        return self._tokens[self._next][0]

    @property
    def _text(self) -> str:
        return self._tokens[self._next][1]

    def _take(self, *signs: str) -> str:
        """The next token when it is one of these signs, else nothing."""
        kind, text, _ = self._tokens[self._next]
        if kind != "sign" or text not in signs:
            return ""
        self._next += 1
        return text

    def _sum(self) -> None:
        self._product()
        while sign := self._take("+", "-"):
            self._product()
            self.steps.append(_Apply(sign, BINARY[sign], 2))

    def _product(self) -> None:
        self._factor()
        while sign := self._take("*", "/"):
            self._factor()
            self.steps.append(_Apply(sign, BINARY[sign], 2))

    def _factor(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        if sign := self._take("+", "-"):
            self._factor()
            if sign == "-":
                self.steps.append(_Apply("minus", lambda value: -value, 1))
        else:
            self._atom()
            if self._take("^"):
                self._factor()
                self.steps.append(_Apply("^", BINARY["^"], 2))
        self._depth -= 1

    def _atom(self) -> None:
        kind, text = self._kind, self._text
        if kind == "number":
            value = float(text)
            if not math.isfinite(value):
                raise ValueError(f"{text} is beyond any number")
            self.steps.append(value)
            self._next += 1
        elif kind == "name":
            self._next += 1
            if self._take("("):
                self._call(text)
            else:
                self.steps.append(text)
        elif self._take("("):
            self._sum()
            self._close()
        else:
            raise self._unexpected("a number, a name or a parenthesis")

    def _call(self, name: str) -> None:
        if name not in FUNCTIONS:
            raise ValueError(f'there is no function "{name}"; there are {", ".join(FUNCTIONS)}')
        self._sum()
        count = 1
        while self._take(","):
            self._sum()
            count += 1
        self._close()
        if count > 1 and name not in VARIADIC:
            raise ValueError(f"{name} takes one value, not {count}")
        self.steps.append(_Apply(name, FUNCTIONS[name], count))

    def _close(self) -> None:
        if not self._take(")"):
            raise self._unexpected("a closing parenthesis")

    def _unexpected(self, expected: str) -> ValueError:
        kind, text, place = self._tokens[self._next]
        if kind == "end":
            return ValueError(f"it ends where {expected} is expected")
        return ValueError(f'"{text}" at character {place + 1} stands where {expected} is expected')


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """Kind, text and place of each token; the last is of kind `end`."""
    tokens: list[tuple[str, str, int]] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = TOKEN.match(text, place)
        if match is None:
            rest = text[place:].lstrip()
            raise ValueError(f'"{rest[0]}" at character {len(text) - len(rest) + 1} is not part of any formula')
        kind = match.lastgroup or ""
        tokens.append((kind, match.group(kind), match.start(kind)))
        place = match.end()
    return [*tokens, ("end", "", end)]
