"""The sentences for what can go wrong with a reward process."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from tuneward.errors import did_you_mean
from tuneward.rewards.process import Call
from tuneward.rewards.program import Program
from tuneward.types import Verdict

NEAR_LIMIT = 0.9
"""A process killed with this share of its memory limit in use was most likely killed for it."""


def explain_load(report: Mapping[str, Any], program: Program) -> str:
    """Why the file cannot be used, and what to do, from a load report whose kind is not `ok`."""
    file, handler = program.path, program.handler
    match report["kind"]:
        case "raised":
            advice = ""
            if report["type"] == "ModuleNotFoundError":
                beside = (
                    "" if program.isolation == "sandbox" and program.folder is None else ", or put it beside the file"
                )
                advice = f" Install the module in the environment that runs tuneward{beside}."
            return f"{file}{_line(report)}: loading the file failed with {_error(report)}.{advice}"
        case "missing":
            functions: list[str] = report["functions"]
            found = f"functions found: {', '.join(functions)}" if functions else "it defines no function"
            return (
                f'{file}: no function "{handler}" ({found}){did_you_mean(handler, functions) or "."} '
                f"Define {handler}(event, context), or name the function with reward.handler."
            )
        case "unfit":
            return f"{file}: {handler} {report['reason']}. Define it as {handler}(event, context)."
        case "timeout":
            limit = f"{program.import_timeout_s:g} s"
            return f"{file}: loading the file took longer than {limit}. Move slow work into {handler}."
        case "oom":
            return f"{file}: loading the file took too much memory. Load less, or load it in {handler}."
        case "died":
            return f"{file}: the process {_ending(report['exit_code'])} while loading the file."
        case _:
            return f"{file}: the process that should load the file could not be started or was killed."


def explain_call(call: Call, samples: int, program: Program) -> tuple[Verdict, str]:
    """Verdict and sentence for a call that brought no answer."""
    file = program.path.name
    source = f"{file}: {program.handler}"
    for_samples = f"for {samples} samples" if samples > 1 else "for one sample"
    memory = (
        f"{source} ran out of memory {for_samples} ({program.memory_setting} {program.memory_mb}). "
        f"Use less, raise {program.memory_setting}, or lower reward.batch_size."
    )
    match call.kind:
        case "raised":
            return Verdict.ERROR, f"{file}{_line(call.detail)}: {program.handler} raised {_error(call.detail)}."
        case "oom":
            return Verdict.OOM, memory
        case "timeout":
            return Verdict.TIMEOUT, (
                f"{source} took longer than {program.timeout_s:g} s {for_samples}. "
                f"Make it faster, raise {program.timeout_setting}, or lower reward.batch_size."
            )
        case "died":
            code: int = call.detail["exit_code"]
            if code < 0 and call.peak_memory_bytes >= NEAR_LIMIT * (program.memory_mb << 20):
                return Verdict.OOM, memory
            return Verdict.ERROR, f"{source}: its process {_ending(code)} {for_samples}."
        case "unserialisable":
            return Verdict.INVALID, (
                f"{source} answered something that is not JSON ({_error(call.detail)}). "
                "Return lists, objects, strings and plain numbers; float(x) converts a numpy number."
            )
        case "too_large":
            size = call.detail["bytes"] >> 20
            return Verdict.INVALID, f"{source} answered {size} MiB {for_samples}. Return scores only."
        case "garbled":
            return Verdict.ERROR, f"{source} wrote to descriptors that it had not opened. Write to its own files only."
        case "unloadable":
            return Verdict.ERROR, explain_load(call.detail["report"], program)
        case "closed":
            return Verdict.ERROR, f"{source} was stopped {for_samples}, because the grader was closed."
        case _:
            return Verdict.ERROR, f"{source}: its process and the keeper of it were killed from outside."


def _error(detail: Mapping[str, Any]) -> str:
    text = str(detail["text"]).rstrip(".")
    return f"{detail['type']}: {text}" if text else str(detail["type"])


def _line(detail: Mapping[str, Any]) -> str:
    return f", line {detail['line']}" if detail.get("line") else ""


def _ending(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit status {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"
