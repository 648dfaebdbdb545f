"""`tuneward rewards`: ready-made rules and rubrics, to use by name or to copy and edit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tuneward.cli.common import AsJson, out, print_json
from tuneward.cli.rewards_test import bench_reward
from tuneward.errors import ConfigError, GraderError, did_you_mean

rewards_app = typer.Typer(help="Ready-made rewards: list, show and copy them.", no_args_is_help=True)
rewards_app.command("test")(bench_reward)

Name = Annotated[str, typer.Argument(help="As `tuneward rewards list` shows it.")]


@dataclass(frozen=True, slots=True)
class Ready:
    """One ready-made reward."""

    name: str
    kind: str
    """`template`: a rule in Python; `rubric`: a text for a judge model."""
    description: str
    path: Path
    documentation: str

    @property
    def setting(self) -> str:
        """The field of a configuration that takes its name."""
        return "reward.template" if self.kind == "template" else "reward.judge.rubric"

    @property
    def file_setting(self) -> str:
        """The field that takes a file of one's own."""
        return "reward.file" if self.kind == "template" else "reward.judge.rubric"


@rewards_app.command("list")
def list_rewards(as_json: AsJson = False) -> None:
    """List ready-made rules (templates) and rubrics for judges."""
    rewards = _ready_made()
    if as_json:
        print_json([
            {"name": one.name, "kind": one.kind, "description": one.description, "path": str(one.path)}
            for one in rewards
        ])  # fmt: skip
        return
    console = out()
    width = max(len(one.name) for one in rewards)
    for kind, title in (("template", "Rules (reward.template)"), ("rubric", "Rubrics for a judge (judge.rubric)")):
        console.print(f"[bold]{title}[/]")
        for one in rewards:
            if one.kind == kind:
                console.print(f"  {one.name:{width}}  {one.description}\n", markup=False, soft_wrap=True, end="")
    console.print(
        "More about one: tuneward rewards show NAME. Make it yours: tuneward rewards copy NAME.", soft_wrap=True
    )


@rewards_app.command()
def show(name: Name) -> None:
    """Show what a ready-made reward scores and the rows it expects."""
    one = _find(name)
    typer.echo(one.documentation.rstrip())
    typer.echo(f"\n{one.setting}: {one.name}\n{one.path}")


@rewards_app.command()
def copy(
    name: Name,
    file: Annotated[Path | None, typer.Argument(help="Where to; default: NAME.py or NAME.md in this folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
) -> None:
    """Copy a ready-made reward into a file of your own."""
    one = _find(name)
    target = file or Path(one.path.name)
    if target.is_dir():
        target /= one.path.name
    if target.suffix != one.path.suffix:
        raise ConfigError(f"{target}: a {one.kind} is a {one.path.suffix} file; name the copy so.")
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent}: no such folder. Make it, or name another file.")
    try:
        # Exclusive, so that a file that appears meanwhile is not lost either.
        with target.open("wb" if force else "xb") as copied:
            copied.write(one.path.read_bytes())
    except FileExistsError:
        raise ConfigError(f"{target} is there already. Name another file, or overwrite it with --force.") from None
    console = out()
    console.print(f"{target} is yours to edit.", markup=False, soft_wrap=True)
    console.print(f"Next: set {one.file_setting}: {target} in your configuration,", markup=False, soft_wrap=True)
    if one.kind == "template":
        check = f"and try it on your rows: tuneward rewards test {target} --data train.jsonl"
    else:
        check = "and try the configuration on your rows: tuneward rewards test config.yaml --data train.jsonl"
    console.print(check, markup=False, soft_wrap=True)


def _ready_made() -> list[Ready]:
    from tuneward.rewards.judge.rubric import READY_MADE, ready_made_rubrics
    from tuneward.rewards.templates import ready_made_templates

    templates = [
        Ready(one.name, "template", one.description, one.path, one.documentation) for one in ready_made_templates()
    ]
    rubrics = [
        Ready(one.name, "rubric", one.description, READY_MADE / f"{one.name}.md", one.source)
        for one in ready_made_rubrics()
    ]
    return templates + rubrics


def _find(name: str) -> Ready:
    found = {one.name: one for one in _ready_made()}
    if name not in found:
        near = did_you_mean(name, found) or "."
        raise GraderError(f'no ready-made reward is called "{name}"{near} `tuneward rewards list` shows them all.')
    return found[name]
