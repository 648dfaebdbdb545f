"""Small facts about HTTP servers: whether one is near, and how long it asks to be left alone."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def is_local(host: str) -> bool:
    """The host is this machine or in a private network, going by its name alone."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return address.is_private or address.is_loopback


def pause_s(headers: Mapping[str, str]) -> float:
    """Seconds that a `Retry-After` header asks for, given as seconds or as a date; 0 when there is none.

    Source: RFC 9110, 10.2.3; `retry-after-ms`: OpenAI contract, 1.4.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is None:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return 0.0
    return max(0.0, seconds)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number else None
