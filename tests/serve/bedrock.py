"""boto3's clients on a server of a test."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from tuneward.serve.catalog import FixedCatalog


def runtime_client(url: str, *, key: str = "AKIDEXAMPLE") -> Any:
    """An unmodified `bedrock-runtime` client; it tries nothing twice, so that a refusal is seen at once."""
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=40, read_timeout=120)
    keys = {"aws_access_key_id": key, "aws_secret_access_key": "any"}
    return boto3.client("bedrock-runtime", endpoint_url=url, region_name="us-east-1", config=config, **keys)


def said(text: str, role: str = "user") -> dict[str, Any]:
    """A message of Converse."""
    return {"role": role, "content": [{"text": text}]}


class Kept:
    """A catalog that the server of one test must not close."""

    def __init__(self, catalog: FixedCatalog):
        self.use = catalog.use

    def close(self) -> None:
        pass


def joined(stream: Any) -> dict[str, Any]:
    """The events of ConverseStream as one answer, after checking their order."""
    names, texts, inputs, starts = [], {}, {}, {}
    out: dict[str, Any] = {}
    for event in stream:
        ((name, payload),) = event.items()
        names.append(name)
        match name:
            case "contentBlockStart":
                starts[payload["contentBlockIndex"]] = payload["start"]["toolUse"]
            case "contentBlockDelta":
                index, delta = payload["contentBlockIndex"], payload["delta"]
                if "text" in delta:
                    texts[index] = texts.get(index, "") + delta["text"]
                else:
                    inputs[index] = inputs.get(index, "") + delta["toolUse"]["input"]
            case "messageStop" | "metadata":
                out |= payload
    assert names[0] == "messageStart"
    assert names[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    return out | {"texts": texts, "inputs": inputs, "starts": starts, "names": names}
