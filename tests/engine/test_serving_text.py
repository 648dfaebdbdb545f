"""Text that is shown while it grows: whole characters, nothing of a stop string, and in the end all of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuneward.engine.serving.request import TokenLogprob
from tuneward.engine.serving.text import TextStream


def decode(tokens: list[int]) -> str:
    """A byte-level vocabulary: token = byte."""
    return bytes(tokens).decode(errors="replace")


def streamed(tokens: bytes, stop: tuple[str, ...] = ()) -> tuple[list[str], TextStream]:
    stream = TextStream(decode, stop)
    parts = []
    for token in tokens:
        parts.append(stream.push(token)[0])
        if stream.is_stopped:
            break
    parts.append(stream.finish()[0])
    return parts, stream


@given(st.text(max_size=30))
def test_every_part_consists_of_whole_characters(text: str) -> None:
    parts, _ = streamed(text.encode())
    assert "".join(parts) == text
    assert all("\ufffd" not in part for part in parts) or "\ufffd" in text


@given(st.binary(max_size=30))
def test_any_bytes_become_the_text_that_decoding_them_at_once_gives(data: bytes) -> None:
    assert "".join(streamed(data)[0]) == decode(list(data))


@given(st.text("ab€", max_size=12), st.lists(st.text("ab€", min_size=1, max_size=4), min_size=1, max_size=3))
def test_no_part_of_a_stop_string_is_ever_shown(text: str, stops: list[str]) -> None:
    ends = [end for end in range(len(text) + 1) if any(text[:end].endswith(stop) for stop in stops)]
    parts, stream = streamed(text.encode(), tuple(stops))
    if not ends:
        assert ("".join(parts), stream.is_stopped) == (text, False)
        return
    begun = min(text[: ends[0]].find(stop) for stop in stops if stop in text[: ends[0]])
    assert ("".join(parts), stream.is_stopped) == (text[:begun], True)


def test_text_that_cannot_become_a_stop_string_is_shown_at_once() -> None:
    stream = TextStream(decode, ("END",))
    assert [stream.push(ord(letter))[0] for letter in "aEbENx"] == ["a", "", "Eb", "", "", "ENx"]


def test_logprobs_come_with_the_text_their_token_begins_in_and_never_for_a_stop_string() -> None:
    stream = TextStream(decode, ("END",))
    shown = []
    for token in "ä€EN-END".encode():
        entry = TokenLogprob("", bytes([token]), -1.0)
        text, logprobs = stream.push(token, entry)
        assert bool(text) == bool(logprobs)
        shown += [entry.data for entry in logprobs]
    assert b"".join(shown).decode() == "ä€EN-"
    assert stream.is_stopped
    assert stream.finish() == ("", ())
