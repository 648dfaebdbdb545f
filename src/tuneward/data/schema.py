"""One JSON object → one `Row`, with every finding on the way. Source: Bedrock RFT contract, sections 3.1 and 3.3."""

from __future__ import annotations

from collections.abc import Sequence

from tuneward.data.problems import Code, Findings, shown
from tuneward.data.tool_schema import check_tools
from tuneward.errors import did_you_mean
from tuneward.types import Json, Message, Row

ROLES = ("system", "user", "assistant", "tool")
"""Roles after `developer` has become `system`."""

ROW_FIELDS = frozenset({"messages", "reference_answer", "id", "tools", "metadata"})
"""Fields with a meaning of their own; every other one goes into `Row.metadata`."""

MESSAGE_FIELDS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"})
"""Message fields a chat template may use; others are left out of the row."""

ROLE_MARKERS = ("system:", "user:", "bot:", "assistant:", "thought:", "[eos]", "<image>", "<video>", "<unk>")
"""Text, in whatever case, that hosted services refuse because templates may read it as a turn (contract 3.3)."""


def parse_row(data: dict[str, Json], findings: Findings) -> Row | None:
    """Check and normalise one object.

    Returns:
        The row, when no finding on the line is an error; otherwise None.
    """
    messages = _check_messages(data, findings)
    row_id = _check_id(data, findings)
    _check_reference(data, findings)
    tools = check_tools(data["tools"], findings) if "tools" in data else ()
    metadata = data.get("metadata", {})
    if not isinstance(metadata, dict):
        findings.error(Code.SCHEMA, "metadata", f"metadata is {shown(metadata)}; expected an object.")
        metadata = {}
    if findings.has_error:
        return None
    extras = {key: value for key, value in data.items() if key not in ROW_FIELDS}
    return Row(
        id=row_id,
        messages=tuple(messages),
        reference_answer=data.get("reference_answer"),
        metadata={**metadata, **extras},
        tools=tools,
        line=findings.line,
    )


def _check_messages(data: dict[str, Json], findings: Findings) -> Sequence[Message]:
    if "messages" not in data:
        near = did_you_mean("messages", data)
        findings.error(
            Code.SCHEMA, "messages", f"messages is missing{near or '.'}", 'Add messages: [{"role", "content"}, …].'
        )
        return []
    messages = data["messages"]
    if not isinstance(messages, list) or not messages:
        findings.error(
            Code.SCHEMA, "messages", f"messages is {shown(messages)}; expected a list of at least one message."
        )
        return []
    checked = [_check_message(message, f"messages[{index}]", findings) for index, message in enumerate(messages)]
    roles = [message.get("role") for message in checked]
    if "user" not in roles:
        findings.error(Code.SCHEMA, "messages", "messages has no user message.", "Add one with the question or task.")
    for index, role in enumerate(roles):
        if role == "system" and index:
            findings.warn(
                Code.ROLE_ORDER,
                f"messages[{index}].role",
                f"messages[{index}] is a system message; a system message comes first, and only once.",
                "Move its text into messages[0]; many chat templates refuse or ignore it elsewhere.",
            )
    if roles[-1] == "assistant":
        findings.warn(
            Code.ENDS_WITH_ANSWER,
            f"messages[{len(roles) - 1}].role",
            "the last message is the assistant's, so the model is asked to answer after an answer.",
            "Move the expected answer to reference_answer; messages is the prompt only.",
        )
    return checked


def _check_message(message: Json, place: str, findings: Findings) -> dict[str, Json]:
    if not isinstance(message, dict):
        findings.error(Code.SCHEMA, place, f"{place} is {shown(message)}; expected an object with role and content.")
        return {}
    role = message.get("role")
    if role == "developer":
        role = "system"
    if "role" not in message:
        findings.error(
            Code.ROLE, f"{place}.role", f"{place}.role is missing; expected system, user, assistant or tool."
        )
    elif role not in ROLES:
        findings.error(
            Code.ROLE,
            f"{place}.role",
            f"{place}.role is {shown(role)}; expected system, user, assistant or tool.",
            _role_fix(role),
        )
    for key in message.keys() - MESSAGE_FIELDS:
        findings.inform(Code.UNUSED_FIELD, f"{place}.{key[:40]}", f"{place}.{key[:40]} is not used.")
    checked: dict[str, Json] = {"role": role, "content": _check_content(message, place, findings)}
    for key in ("name", "tool_call_id"):
        if message.get(key) is not None:
            checked[key] = message[key]
            if not isinstance(message[key], str):
                findings.error(
                    Code.SCHEMA, f"{place}.{key}", f"{place}.{key} is {shown(message[key])}; expected a string."
                )
    calls = message.get("tool_calls")
    if calls is not None:
        checked["tool_calls"] = calls
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            findings.error(
                Code.SCHEMA, f"{place}.tool_calls", f"{place}.tool_calls is {shown(calls)}; expected a list of objects."
            )
    return checked


def _role_fix(role: Json) -> str:
    usual = {"bot": "assistant", "model": "assistant", "agent": "assistant", "human": "user", "function": "tool"}
    meant = usual.get(role.lower()) if isinstance(role, str) else None
    return f'Use "{meant}".' if meant else ""


def _check_content(message: dict[str, Json], place: str, findings: Findings) -> str:
    place = f"{place}.content"
    content = message.get("content")
    if content is None:
        if message.get("role") == "assistant" and message.get("tool_calls"):
            return ""
        state = "null" if "content" in message else "missing"
        findings.error(Code.SCHEMA, place, f"{place} is {state}; expected a string or a list of text parts.")
        return ""
    if isinstance(content, str):
        text = content
    elif isinstance(content, list):
        joined = _join_parts(content, place, findings)
        if joined is None:
            return ""
        text = joined
    else:
        findings.error(Code.SCHEMA, place, f"{place} is {shown(content)}; expected a string or a list of text parts.")
        return ""
    if not text.strip() and not message.get("tool_calls"):
        findings.error(Code.EMPTY_CONTENT, place, f"{place} is empty.", "Write the text, or remove the message.")
    lower = text.lower()  # searching it for each takes a twentieth of the time of a pattern that ignores case
    markers = sorted((marker for marker in ROLE_MARKERS if marker in lower), key=lower.index)
    if markers:
        findings.warn(
            Code.ROLE_MARKER,
            place,
            f"{place} holds {', '.join(shown(marker) for marker in markers)}, which may be read as a turn marker.",
            "Reword it if it is not meant as text; Amazon's validator refuses such rows.",
        )
    return text


def _join_parts(parts: list[Json], place: str, findings: Findings) -> str | None:
    """The text of a list of parts; None after an error."""
    texts = []
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind is None or kind == "text":
            findings.error(
                Code.SCHEMA,
                f"{place}[{index}]",
                f"{place}[{index}] is {shown(part)} that is not a text part."
                if isinstance(part, dict)
                else f"{place}[{index}] is {shown(part)}; expected a text part.",
                'Write {"type": "text", "text": "…"}.',
            )
        else:
            findings.error(
                Code.NON_TEXT,
                f"{place}[{index}].type",
                f"{place}[{index}] is a part of type {shown(kind)}; prompts are text only.",
                "Describe it in words, or leave the row out.",
            )
    return "".join(texts) if len(texts) == len(parts) else None


def _check_id(data: dict[str, Json], findings: Findings) -> str:
    if "id" not in data:
        return f"row-{findings.line}"
    row_id = data["id"]
    if not isinstance(row_id, str) or not row_id.strip():
        fix = f'Write "{row_id}".' if type(row_id) is int and abs(row_id) < 10**18 else "Name the row, or leave id out."
        findings.error(Code.ID, "id", f"id is {shown(row_id)}; expected a string that is not empty.", fix)
        return ""
    return row_id


def _check_reference(data: dict[str, Json], findings: Findings) -> None:
    if "reference_answer" not in data:
        return
    reference = data["reference_answer"]
    if reference is None or reference in ("", [], {}):
        findings.warn(
            Code.REFERENCE,
            "reference_answer",
            f"reference_answer is {'an empty object' if reference == {} else shown(reference)}.",
            "Give the expected answer, or leave the field out when the grader needs none.",
        )
    elif not isinstance(reference, str | dict):
        findings.inform(
            Code.REFERENCE,
            "reference_answer",
            f"reference_answer is {shown(reference)}; Tuneward takes any JSON, hosted services a string or an object.",
        )
