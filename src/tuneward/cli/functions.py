"""`tuneward functions`: reward functions registered on this machine, with the semantics of AWS Lambda."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuneward.cli.common import AsJson, out, print_json

if TYPE_CHECKING:
    from tuneward.rewards.functions import FunctionConfiguration, FunctionRegistry
    from tuneward.rewards.functions.registry import FunctionSettings

functions_app = typer.Typer(help="Register, version and call reward functions.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the function.")]
Reference = Annotated[str, typer.Argument(metavar="NAME[:VERSION|:ALIAS]", help="The function, or its ARN.")]
Handler = Annotated[
    str | None, typer.Option(help="MODULE.FUNCTION; default: lambda_handler of the file, or of lambda_function.py.")
]
Runtime = Annotated[str | None, typer.Option(help="python3.9 to python3.14; each runs on this interpreter.")]
Timeout = Annotated[int | None, typer.Option("--timeout-s", help="Time limit of a call, 1 to 900 s.")]
Memory = Annotated[int | None, typer.Option("--memory-mb", help="Memory limit of a process, 128 to 10240 MB.")]
Environment = Annotated[
    list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="Environment variable; may be repeated.")
]
Description = Annotated[str | None, typer.Option(help="Text of up to 256 characters.")]


@functions_app.command()
def create(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .py file or a .zip archive.")],
    handler: Handler = None,
    runtime: Runtime = None,
    timeout_s: Timeout = None,
    memory_mb: Memory = None,
    env: Environment = None,
    description: Description = None,
    as_json: AsJson = False,
) -> None:
    """Register a function."""
    from tuneward.rewards.functions.source import read_source

    source = read_source(file)
    settings = _settings(runtime, timeout_s, memory_mb, env, description)
    _show(_registry().create(name, source.archive, handler=handler or source.handler, **settings), as_json)


@functions_app.command()
def update(
    name: Name,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="New code; default: as it is.")] = None,
    handler: Handler = None,
    runtime: Runtime = None,
    timeout_s: Timeout = None,
    memory_mb: Memory = None,
    env: Environment = None,
    description: Description = None,
    as_json: AsJson = False,
) -> None:
    """Change a function's code or settings; --env replaces all its variables. Published versions stay as they are."""
    from tuneward.rewards.functions.source import read_source

    settings = _settings(runtime, timeout_s, memory_mb, env, description)
    code = read_source(file).archive if file else None
    _show(_registry().update(name, code=code, handler=handler, **settings), as_json)


@functions_app.command()
def publish(name: Name, description: Description = None, as_json: AsJson = False) -> None:
    """Freeze a function as its next version, which never changes again."""
    _show(_registry().publish(name, description), as_json)


@functions_app.command()
def alias(
    name: Name,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Such as prod.")],
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Version it names from now on.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the alias.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an alias for a version, move it to another, or remove it."""
    from tuneward.errors import ConfigError

    if delete == (version is not None):
        raise ConfigError("Give the version that the alias is to name, or --delete.")
    if version is None:
        _registry().delete_alias(name, alias)
        _done({"deleted": f"{name}:{alias}"}, f"Deleted alias {name}:{alias}", as_json)
        return
    made = _registry().set_alias(name, alias, version)
    summary = {"name": name, "alias": made.name, "version": made.version}
    _done(summary, f"{name}:{made.name} is version {made.version}", as_json)


@functions_app.command()
def invoke(
    reference: Reference,
    event: Annotated[str, typer.Option(metavar="FILE|-", help="File with the event as JSON; -: standard input.")],
    log: Annotated[bool, typer.Option("--log", help="Print the end of the call's log on stderr.")] = False,
    as_json: AsJson = False,
) -> None:
    """Call a function and print its answer; exit code 5 when it fails."""
    from tuneward.errors import ConfigError, GraderError
    from tuneward.rewards.functions import LocalFunction

    payload = sys.stdin.buffer.read() if event == "-" else Path(event).read_bytes()
    try:
        json.loads(payload)
    except ValueError as error:
        where = "standard input" if event == "-" else event
        raise ConfigError(f"{where}: not JSON ({error}). An event is a list of samples, or any JSON value.") from None
    function = LocalFunction(_registry(), reference, workers=1)
    try:
        done = function.invoke(payload)
    finally:
        function.close()
    answer = json.loads(done.payload)
    if as_json:
        print_json({
            "version": done.version, "request_id": done.request_id, "is_error": done.is_error, "answer": answer,
            "log_tail": done.log_tail,
        })  # fmt: skip
    elif not done.is_error:
        print_json(answer)
    if log and not as_json:
        typer.echo(_visible(done.log_tail), err=True, nl=False)
    if done.is_error:
        raise GraderError(f"{reference}: {answer['errorType']}: {answer['errorMessage']}")


@functions_app.command()
def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as calls are made; Ctrl-C ends it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print what calls of a function wrote here, oldest first."""
    from tuneward.errors import ConfigError

    log = _registry().log(name)
    if as_json and follow:
        raise ConfigError("--json is one document and --follow has no end. Give one of them.")
    if as_json:
        print_json([{"time": time, "line": line} for time, _, line in _log_lines(log.read())])
        return
    try:
        for text in log.follow() if follow else [log.read()]:
            typer.echo(_visible(text), nl=False)
    except KeyboardInterrupt:
        return


@functions_app.command("list")
def list_command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this function's versions.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the functions, or the versions and aliases of one."""
    from rich.table import Table

    registry = _registry()
    rows = registry.versions(name) if name else registry.functions()
    aliases = registry.aliases(name) if name else []
    if as_json:
        print_json([
            _summary(row) | ({"aliases": [a.name for a in aliases if a.version == row.version]} if name else {})
            for row in rows
        ])  # fmt: skip
        return
    if not rows:
        out().print("No functions. Register one: tuneward functions create NAME FILE")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("function", "version", "handler", "timeout", "memory", "changed", "description"):
        table.add_column(title)
    for row in rows:
        names = "".join(f" {a.name}" for a in aliases if a.version == row.version)
        table.add_row(
            row.name, f"{row.version}{names}", row.handler, f"{row.timeout_s} s", f"{row.memory_mb} MB",
            row.last_modified[:19], row.description.replace("[", r"\["),
        )  # fmt: skip
    out().print(table)


@functions_app.command()
def delete(reference: Reference, as_json: AsJson = False) -> None:
    """Delete a function with its versions, aliases and log, or one version of it."""
    from tuneward.rewards.functions import parse_reference

    parsed = parse_reference(reference)
    _registry().delete(parsed.name, parsed.qualifier)
    _done({"deleted": str(parsed)}, f"Deleted {parsed}", as_json)


def _registry() -> FunctionRegistry:
    from tuneward.rewards.functions import FunctionRegistry

    return FunctionRegistry()


def _settings(
    runtime: str | None, timeout_s: int | None, memory_mb: int | None, env: list[str] | None, description: str | None
) -> FunctionSettings:
    """The settings that were given."""
    from tuneward.errors import ConfigError

    variables: dict[str, str] = {}
    for pair in env or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f'--env "{pair}": expected NAME=VALUE.')
        variables[name] = value
    settings: FunctionSettings = {}
    if runtime is not None:
        settings["runtime"] = runtime
    if timeout_s is not None:
        settings["timeout_s"] = timeout_s
    if memory_mb is not None:
        settings["memory_mb"] = memory_mb
    if env is not None:
        settings["environment"] = variables
    if description is not None:
        settings["description"] = description
    return settings


def _summary(configuration: FunctionConfiguration) -> dict[str, Any]:
    """For --json: every field but the values of variables, which may be secrets."""
    summary = configuration.as_json() | {"arn": configuration.qualified_arn}
    return summary | {"environment": sorted(configuration.environment)}


def _show(configuration: FunctionConfiguration, as_json: bool) -> None:
    one = configuration
    text = (
        f"{one.qualified_arn}\n{one.handler}, {one.timeout_s} s, {one.memory_mb} MB, {one.runtime} "
        f"(runs on Python {sys.version_info.major}.{sys.version_info.minor}), SHA-256 {one.code_sha256}"
    )
    _done(_summary(one), text, as_json)


def _done(summary: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        print_json(summary)
    else:
        typer.echo(text)


def _log_lines(text: str) -> list[tuple[str, str, str]]:
    return [line.partition("\t") for line in text.splitlines()]


def _visible(text: str) -> str:
    """What a function printed must not steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
