"""`tuneward models`: get and list models."""

from __future__ import annotations

from typing import Annotated

import typer

from tuneward.cli.common import AsJson, out, print_json

models_app = typer.Typer(help="Get and list models.", no_args_is_help=True)


@models_app.command()
def pull(alias: Annotated[str, typer.Argument(help="Embedded model, e.g. smollm2-135m.")] = "smollm2-135m") -> None:
    """Fetch an embedded model and convert it; does nothing when it is there already."""
    from tuneward.models.pull import pull as pull_model

    console = out()
    pull_model(alias, lambda line: console.print(line, soft_wrap=True))


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List embedded models and whether they are on this machine."""
    from tuneward.models.pull import EMBEDDED, is_pulled, local_folder

    rows = [
        {
            "alias": model.alias,
            "licence": model.licence,
            "description": model.description,
            "folder": str(local_folder(model.alias)) if is_pulled(model.alias) else None,
        }
        for model in EMBEDDED.values()
    ]
    if as_json:
        print_json(rows)
        return
    console = out()
    for row in rows:
        where = row["folder"] or f"not here yet: tuneward models pull {row['alias']}"
        console.print(f"{row['alias']}  {row['description']} ({row['licence']})\n  {where}", soft_wrap=True)
