"""The `tools` of a row: OpenAI function tools. Source: Bedrock RFT contract, section 3.3."""

from __future__ import annotations

from collections.abc import Mapping

from tuneward.data.problems import Code, Findings, shown
from tuneward.types import Json


def check_tools(tools: Json, findings: Findings) -> tuple[Mapping[str, Json], ...]:
    """Check the tools of a row; findings name each place. Returns those that are objects."""
    if tools == [] or tools is None:
        findings.warn(Code.TOOLS, "tools", f"tools is {shown(tools)}.", "Leave the field out when there are none.")
        return ()
    if not isinstance(tools, list):
        findings.error(Code.TOOLS, "tools", f"tools is {shown(tools)}; expected a list of function tools.")
        return ()
    names: dict[str, int] = {}
    checked = []
    for index, tool in enumerate(tools):
        place = f"tools[{index}]"
        if not isinstance(tool, dict):
            findings.error(Code.TOOLS, place, f"{place} is {shown(tool)}; expected an object.")
            continue
        checked.append(tool)
        if tool.get("type") != "function":
            findings.error(
                Code.TOOLS, f"{place}.type", f'{place}.type is {shown(tool.get("type"))}; expected "function".'
            )
        function = tool.get("function")
        if not isinstance(function, dict):
            findings.error(
                Code.TOOLS, f"{place}.function", f"{place}.function is {shown(function)}; expected an object."
            )
            continue
        _check_function(function, f"{place}.function", findings)
        name = function.get("name")
        if isinstance(name, str) and name and names.setdefault(name, index) != index:
            findings.error(
                Code.TOOLS,
                f"{place}.function.name",
                f"{place}.function.name {shown(name)} is already the name of tools[{names[name]}].",
                "Give each tool a name of its own.",
            )
    return tuple(checked)


def _check_function(function: dict[str, Json], place: str, findings: Findings) -> None:
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        findings.error(Code.TOOLS, f"{place}.name", f"{place}.name is {shown(name)}; expected the function's name.")
    description = function.get("description")
    if not isinstance(description, str) or not description.strip():
        findings.warn(
            Code.TOOLS,
            f"{place}.description",
            f"{place}.description is {shown(description)}.",
            "Say what the function does; the model sees it, and Amazon's validator asks for it.",
        )
    place = f"{place}.parameters"
    if "parameters" not in function:
        findings.warn(
            Code.TOOLS, place, f"{place} is missing.", 'Write {"type": "object", "properties": {}} if there are none.'
        )
        return
    parameters = function["parameters"]
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        findings.error(Code.TOOLS, place, f'{place} is not a JSON schema with "type": "object".')
        return
    if not isinstance(parameters.get("properties"), dict):
        findings.error(
            Code.TOOLS,
            f"{place}.properties",
            f"{place}.properties is {shown(parameters.get('properties'))}; expected an object.",
        )
    required = parameters.get("required", [])
    if not isinstance(required, list) or not all(isinstance(key, str) for key in required):
        findings.error(
            Code.TOOLS, f"{place}.required", f"{place}.required is {shown(required)}; expected a list of names."
        )
