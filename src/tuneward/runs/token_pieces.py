"""Which part of a completion's text each token wrote."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers.decoders import DecodeStream

from tuneward.models.chat import ChatTokenizer


def piece_lengths(tokenizer: ChatTokenizer, token_ids: Sequence[int], text: str) -> list[int]:
    """Characters of `text` that each token adds; they sum up to its length.

    A token that writes only part of a character adds nothing, and the one that completes the character adds it; special
    tokens add nothing. Where the tokens cannot be told apart, the last one adds the whole text.

    Args:
        tokenizer: wrote the text.
        token_ids: of the completion, its stop token included.
        text: as `ChatTokenizer.decode` makes it of them.
    """
    if not token_ids:
        return []
    lengths = _streamed(tokenizer, token_ids, text)
    if lengths is None:
        lengths = [0] * len(token_ids)
    lengths[-1] += len(text) - sum(lengths)
    return lengths


def _streamed(tokenizer: ChatTokenizer, token_ids: Sequence[int], text: str) -> list[int] | None:
    """The lengths of what a stream of the tokens has written so far at each; None when it is not this text."""
    backend = getattr(tokenizer.tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    stream, lengths, written = DecodeStream(skip_special_tokens=True), [], 0
    for token_id in token_ids:
        try:
            piece = stream.step(backend, token_id) or ""
        except Exception:  # the library's own type, for bytes that no text has
            return None
        if not text.startswith(piece, written):
            return None
        lengths.append(len(piece))
        written += len(piece)
    return lengths
