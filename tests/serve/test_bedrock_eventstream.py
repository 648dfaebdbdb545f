"""Frames of event streams, read by botocore's own parser."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from tuneward.serve.aws_errors import AwsError
from tuneward.serve.bedrock import eventstream

NAMES = st.text(min_size=1, max_size=60).filter(lambda name: len(name.encode()) < 256)
HEADERS = st.dictionaries(NAMES, st.text(max_size=200), max_size=5)


@given(messages=st.lists(st.tuples(HEADERS, st.binary(max_size=500)), max_size=4), cut=st.integers(1, 50))
def test_frames_come_back_as_they_went_in_however_the_network_cuts_them(
    messages: list[tuple[dict[str, str], bytes]], cut: int
) -> None:
    stream = b"".join(eventstream.frame(headers, payload) for headers, payload in messages)
    buffer = EventStreamBuffer()
    for start in range(0, len(stream), cut):
        buffer.add_data(stream[start : start + cut])
    assert [(message.headers, message.payload) for message in buffer] == messages


@given(at=st.integers(0, 10_000))
def test_a_damaged_frame_is_noticed(at: int) -> None:
    frame = bytearray(eventstream.event("messageStart", {"role": "assistant"}))
    at = 12 + at % (len(frame) - 12)  # behind the prelude, whose damage a parser may meet as a wrong length
    frame[at] ^= 0x20
    buffer = EventStreamBuffer()
    buffer.add_data(bytes(frame))
    with pytest.raises(ChecksumMismatch):
        next(buffer)


def test_chunks_carry_native_bodies_and_failures_carry_names_that_the_stream_knows() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(eventstream.chunk({"a": "ä"}))
    buffer.add_data(eventstream.exception(AwsError("ThrottlingException", 429, "slow")))
    late = AwsError("ModelTimeoutException", 408, "late")
    buffer.add_data(eventstream.exception(late))
    buffer.add_data(eventstream.exception(late, also=frozenset({"ModelTimeoutException"})))
    chunk, throttled, unknown, known = buffer
    assert json.loads(base64.b64decode(json.loads(chunk.payload)["bytes"])) == {"a": "ä"}
    assert throttled.headers[":exception-type"] == "throttlingException"
    assert throttled.to_response_dict()["status_code"] == 400
    assert unknown.headers[":exception-type"] == "modelStreamErrorException"
    assert json.loads(unknown.payload)["originalStatusCode"] == 408
    assert known.headers[":exception-type"] == "modelTimeoutException"
