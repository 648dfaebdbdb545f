"""A body of Converse → what the model is asked. Source: Bedrock RFT contract, 8.8."""

from __future__ import annotations

from collections.abc import Iterator

from tuneward.engine.serving.request import ServingRequest
from tuneward.serve.bedrock.converse_request import ConverseBody, Message, ToolConfig
from tuneward.serve.inference import LEAST_TOP_P, Chat, call_schema
from tuneward.types import Json


def chat_of(body: ConverseBody) -> Chat:
    """What a body asks, in the form of chat templates."""
    config, fields = body.inference_config, body.additional_model_request_fields
    settings = ServingRequest(
        prompt=(),
        max_tokens=config.max_tokens,
        temperature=1.0 if config.temperature is None else config.temperature,
        top_p=1.0 if config.top_p is None else max(config.top_p, LEAST_TOP_P),
        top_k=fields.top_k,
        seed=fields.seed,
        stop=tuple(config.stop_sequences or ()),
    )
    messages = [made for message in body.messages for made in _messages_of(message)]
    # As conversions of logged calls to training rows do it: what was served is what is trained on.
    system = "\n".join(block.text for block in body.system or () if block.text is not None)
    if system:
        messages.insert(0, {"role": "system", "content": system})
    wanted = body.output_config.text_format
    tools = _tools_of(body.tool_config)
    return Chat(
        messages,
        settings,
        tools,
        format=None if wanted is None else wanted.as_response_format(),
        held_to=_forced(body.tool_config, tools),
    )


def _messages_of(message: Message) -> Iterator[dict[str, Json]]:
    """One message, or several: each result of a tool is a message of its own, texts behind it another."""
    texts: list[str] = []
    calls: list[Json] = []
    is_said = False
    for block in message.content:
        if block.text is not None:
            texts.append(block.text)
        elif block.tool_use is not None:
            use = block.tool_use
            function = {"name": use.name, "arguments": use.input}
            calls.append({"id": use.tool_use_id, "type": "function", "function": function})
        elif block.tool_result is not None:
            if texts:
                yield {"role": message.role, "content": "".join(texts)}
                texts = []
            result = block.tool_result
            content = "".join(part.as_text() for part in result.content)
            yield {"role": "tool", "tool_call_id": result.tool_use_id, "content": content}
            is_said = True
    if texts or calls or not is_said:
        yield {"role": message.role, "content": "".join(texts)} | ({"tool_calls": calls} if calls else {})


def _tools_of(config: ToolConfig | None) -> tuple[dict[str, Json], ...]:
    tools = []
    for tool in config.tools if config else ():
        if (spec := tool.tool_spec) is not None:
            described = {} if spec.description is None else {"description": spec.description}
            function = {"name": spec.name} | described | {"parameters": spec.input_schema.json_}
            tools.append({"type": "function", "function": function})
    return tuple(tools)


def _forced(config: ToolConfig | None, tools: tuple[dict[str, Json], ...]) -> dict[str, Json] | None:
    choice = config.tool_choice if config else None
    if choice is None or choice.auto is not None:
        return None
    name = choice.tool.name if choice.tool else None
    return call_schema([tool for tool in tools if name is None or tool["function"]["name"] == name])
