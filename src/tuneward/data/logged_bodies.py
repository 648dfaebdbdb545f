"""Bodies of logged model calls in the forms that models of Bedrock take and give → messages, and an answer's text.

Source: Bedrock RFT contract, 3.7 (conversion rules) and 8.8 (Converse and native bodies).
"""

from __future__ import annotations

from collections.abc import Iterable

from tuneward.types import Json

_TEXT_TYPES = (None, "text", "input_text", "output_text")


class UnusableError(Exception):
    """A call that no row can be made of; the text is the reason, without anything of the call."""


def messages_of(body: Json) -> list[dict[str, str]]:
    """What the model was asked: Converse, Nova, Claude, OpenAI's chat and Responses forms, `prompt`, `inputText`.

    Raises:
        UnusableError: another form, something that is not text, or nothing to answer.
    """
    if not isinstance(body, dict):
        raise UnusableError("the request is no JSON object")
    for key in ("prompt", "inputText"):
        if isinstance(body.get(key), str):
            return [_message("user", body[key])]
    turns = body.get("messages", body.get("input"))
    if isinstance(turns, str):
        turns = [{"role": "user", "content": turns}]
    if not isinstance(turns, list) or not turns:
        raise UnusableError("the request has a form that is not known")
    if body.get("previous_response_id"):
        raise UnusableError("the request goes on from an answer that is not in it")
    messages = []
    system = body.get("system", body.get("instructions"))
    if system:
        messages.append(_message("system", _text(system, separator="\n")))
    for turn in turns:
        if not isinstance(turn, dict) or turn.get("type", "message") != "message" or turn.get("tool_calls"):
            raise UnusableError("the request holds something that is not text")
        role = "system" if turn.get("role") == "developer" else turn.get("role")
        if role not in ("system", "user", "assistant"):
            raise UnusableError("the request has a message of a tool or of an unknown role")
        messages.append(_message(role, _text(turn.get("content"))))
    if messages[-1]["role"] == "assistant":
        raise UnusableError("the request ends with the beginning of an answer")
    return messages


def tools_of(body: Json) -> list[Json]:
    """The tools that the model could call, in OpenAI's form; what they hold is not checked."""
    tools = []
    config = _at(body, "toolConfig", "tools")
    own = _at(body, "tools")
    for tool in [*(config if isinstance(config, list) else ()), *(own if isinstance(own, list) else ())]:
        spec = _at(tool, "toolSpec")
        if isinstance(spec, dict):  # Converse and Nova
            tools.append(_tool(spec, _at(spec, "inputSchema", "json")))
        elif isinstance(tool, dict) and "input_schema" in tool:  # Claude
            tools.append(_tool(tool, tool["input_schema"]))
        elif not (isinstance(tool, dict) and set(tool) == {"cachePoint"}):
            tools.append(tool)
    return tools


def answer_of(body: Json) -> str:
    """The text that the model answered with, of whole answers and of streams in the same forms.

    Raises:
        UnusableError: there is none.
    """
    text = "".join(_texts(body)) if isinstance(body, list) else "".join(_answer_texts(body))
    if not text.strip():
        raise UnusableError("the answer has no text")
    return text


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _tool(spec: dict[str, Json], parameters: Json) -> Json:
    named = {key: spec[key] for key in ("name", "description") if key in spec}
    return {"type": "function", "function": {**named, "parameters": parameters}}


def _text(content: Json, *, separator: str = "") -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise UnusableError("the request holds something that is not text")
    texts = []
    for block in content:
        if isinstance(block, dict) and set(block) == {"cachePoint"}:
            continue  # says what to keep for the next call, and nothing to the model
        text = block.get("text") if isinstance(block, dict) and block.get("type") in _TEXT_TYPES else None
        if not isinstance(text, str):
            raise UnusableError("the request holds something that is not text")
        texts.append(text)
    return separator.join(texts)


def _texts(chunks: list[Json]) -> Iterable[str]:
    """Pieces of a streamed answer."""
    for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        delta = _at(chunk, "contentBlockDelta", "delta") or chunk.get("delta")  # Converse and Nova; Claude
        if isinstance(delta, dict):
            yield from _strings(delta.get("text"))
        elif isinstance(delta, str) and chunk.get("type") == "response.output_text.delta":
            yield delta
        else:
            yield from _strings(_at(chunk, "choices", 0, "delta", "content"))
            yield from _answer_texts(chunk)


def _answer_texts(body: Json) -> Iterable[str]:
    """Texts of a whole answer, in whichever form."""
    if not isinstance(body, dict):
        return
    for path in (
        ("choices", 0, "message", "content"),
        ("choices", 0, "text"),
        ("completion",),
        ("generation",),
        ("outputText",),
        ("results", 0, "outputText"),
        ("outputs", 0, "text"),
    ):
        yield from _strings(_at(body, *path))
    items = body.get("output")
    blocks = [_at(item, "content") for item in items] if isinstance(items, list) else []
    for content in (_at(body, "output", "message", "content"), body.get("content"), *blocks):
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") in _TEXT_TYPES:
                yield from _strings(block.get("text"))


def _strings(value: Json) -> Iterable[str]:
    if isinstance(value, str):
        yield value


def _at(value: Json, *path: str | int) -> Json:
    """What lies at a path; None when nothing does."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and len(value) > step else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value
