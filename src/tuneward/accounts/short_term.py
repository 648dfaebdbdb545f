"""Short-term keys of Bedrock: a presigned request in base64, which a client makes from an access key by itself.

Source: Bedrock RFT contract, 7.1.
"""

from __future__ import annotations

import base64
import binascii

from tuneward.accounts.signature import Incoming
from tuneward.accounts.sigv4 import NO_BODY

PREFIX = "bedrock-api-key-"
LONGEST_S = 12 * 3600
_ADDED = "&Version=1"
"""Stands after the signed query."""


def presigned_in(key: str) -> Incoming | None:
    """The presigned request that a bearer key consists of; None: it is another kind of key."""
    if not key.startswith(PREFIX):
        return None
    try:
        url = base64.b64decode(key.removeprefix(PREFIX), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    host, slash, query = url.partition("/?")
    if not slash or "Action=CallWithBearerToken" not in query.split("&"):
        return None
    return Incoming("POST", "/", query.removesuffix(_ADDED), (("host", host),), NO_BODY)
