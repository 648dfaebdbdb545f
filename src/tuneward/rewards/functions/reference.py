"""How a function is named: `NAME`, `NAME:QUALIFIER`, or an ARN. Source: Bedrock RFT contract, 4.3 (`lambdaArn`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuneward.rewards.functions.problems import InvalidFunctionError

LOCAL_ACCOUNT = "000000000000"
"""Account of functions that belong to no project of a server, or to its first one."""

LOCAL_PREFIX = "00000000"
"""What the accounts of projects begin with; no account of AWS does."""

LATEST = "$LATEST"
"""The version that can still be changed."""

_NAME = r"[a-zA-Z0-9-_]{1,64}"
_QUALIFIER = r"\$LATEST|[a-zA-Z0-9-_]{1,128}"
_REFERENCE = re.compile(rf"(?P<name>{_NAME})(?::(?P<qualifier>{_QUALIFIER}))?")
_ARN = re.compile(
    r"arn:(?P<partition>aws[a-zA-Z-]*):lambda:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):(?P<account>\d{12}):function:"
    + _REFERENCE.pattern
)


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """A function as somebody named it."""

    name: str
    qualifier: str | None = None
    """A version number, an alias or `$LATEST`; None: not given, which means `$LATEST`."""
    account: str | None = None
    """Of the ARN; None when there was no ARN."""
    region: str | None = None
    """AWS region of the ARN; None when there was no ARN."""
    arn: str | None = None
    """As it was given; None when there was no ARN."""

    @property
    def is_local(self) -> bool:
        """The function is registered here, not on AWS."""
        return self.account is None or self.account.startswith(LOCAL_PREFIX)

    def __str__(self) -> str:
        return f"{self.name}:{self.qualifier}" if self.qualifier else self.name


def parse_reference(text: str) -> FunctionReference:
    """A function from its name, `NAME:QUALIFIER` or ARN.

    Raises:
        InvalidFunctionError: it is none of them.
    """
    if match := _ARN.fullmatch(text):
        return FunctionReference(match["name"], match["qualifier"], match["account"], match["region"], text)
    if match := _REFERENCE.fullmatch(text):
        return FunctionReference(match["name"], match["qualifier"])
    raise InvalidFunctionError(
        f'"{text}" names no function. Write NAME, NAME:VERSION, NAME:ALIAS, or '
        "arn:aws:lambda:REGION:ACCOUNT:function:NAME; a name has letters, digits, - and _, at most 64."
    )


def function_arn(name: str, region: str, account: str, qualifier: str | None = None) -> str:
    """ARN of a function that is registered here."""
    arn = f"arn:aws:lambda:{region}:{account}:function:{name}"
    return f"{arn}:{qualifier}" if qualifier else arn


def check_name(name: str) -> None:
    """Raises InvalidFunctionError when a function cannot have this name."""
    if not re.fullmatch(_NAME, name):
        raise InvalidFunctionError(f'"{name}" cannot be a function\'s name: letters, digits, - and _, at most 64.')


def check_alias(name: str) -> None:
    """Raises InvalidFunctionError when an alias cannot have this name."""
    if not re.fullmatch(r"[a-zA-Z0-9-_]{1,128}", name) or name.isdigit():
        raise InvalidFunctionError(
            f'"{name}" cannot be an alias: letters, digits, - and _, at most 128, and not digits alone.'
        )
