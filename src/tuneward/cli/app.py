"""The `tuneward` program: commands, and what a failure looks like."""

from __future__ import annotations

import os
import sys

import typer
from rich.console import Console

from tuneward import __version__, native
from tuneward.cli.demo import demo
from tuneward.cli.functions import functions_app
from tuneward.cli.inference import chat, generate
from tuneward.cli.keys import keys_app, projects_app
from tuneward.cli.measure import compare, evaluate
from tuneward.cli.models import models_app
from tuneward.cli.plan import plan
from tuneward.cli.rewards import rewards_app
from tuneward.cli.runs import runs_app
from tuneward.cli.serve import serve
from tuneward.cli.sft import sft
from tuneward.cli.train import train
from tuneward.cli.validate import validate
from tuneward.cli.worker import worker
from tuneward.errors import TunewardError

SHARING = ("serve", "worker")
"""Commands beside which others compute on the same cores: chats and jobs."""

app = typer.Typer(
    name="tuneward",
    help="Reinforcement fine-tuning on your own machine: prompts and a reward in, a better adapter out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
for command in (demo, validate, plan, train, sft, evaluate, compare, generate, chat, serve, worker):
    app.command()(command)
app.add_typer(functions_app, name="functions")
app.add_typer(keys_app, name="keys")
app.add_typer(models_app, name="models")
app.add_typer(projects_app, name="projects")
app.add_typer(rewards_app, name="rewards")
app.add_typer(runs_app, name="runs")


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks."),
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Options of every command."""
    if debug:
        os.environ["TUNEWARD_DEBUG"] = "1"
    native.settle(is_alone=context.invoked_subcommand not in SHARING)
    if version:
        typer.echo(f"tuneward {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point: every expected failure ends in its sentence and a non-zero exit code, never in a traceback."""
    if "--debug" in sys.argv[1:]:  # accepted anywhere on the line, as people type it last
        sys.argv = [sys.argv[0], "--debug", *(word for word in sys.argv[1:] if word != "--debug")]
    try:
        app()
    except TunewardError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped at once; a run goes on from its newest checkpoint with `tuneward train --resume RUN`.", 130)
    except BrokenPipeError:
        os._exit(141)  # the reader of our output went away; there is nobody to tell
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}.", 1)
    except MemoryError:
        _fail("out of memory; lower training.token_budget or training.samples_per_prompt, or use a smaller model.", 1)
    except Exception as error:
        _fail(f"internal error: {type(error).__name__}: {error}. Please report it with the output of --debug.", 70)


def _fail(message: str, code: int) -> None:
    if os.environ.get("TUNEWARD_DEBUG"):
        raise
    Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {_plain(message)}", soft_wrap=True)
    sys.exit(code)


def _plain(message: str) -> str:
    """Square brackets of a message are text, not markup."""
    return message.replace("[", r"\[")
