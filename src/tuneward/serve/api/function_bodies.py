"""What `/api/functions` takes and answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from tuneward.rewards.functions.configuration import MAX_DESCRIPTION
from tuneward.serve.api.model import ApiModel

Text = Annotated[str, Field(max_length=1 << 20)]
Files = Annotated[dict[Annotated[str, Field(max_length=1024)], Text], Field(min_length=1, max_length=100)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION)]


class UsedBy(ApiModel):
    """A recent job that is graded by a function."""

    id: str
    name: str
    state: str
    qualifier: str | None
    """FunctionVersion or alias that the job names; null: `$LATEST`."""


class FunctionCard(ApiModel):
    """A registered function."""

    name: str
    arn: str
    description: str
    handler: str
    """`MODULE.FUNCTION`."""
    timeout_s: int
    memory_mb: int
    last_modified: str
    versions: int
    """Published ones."""
    newest_version: str | None
    is_published: bool
    """The newest version is what the function would answer with now; false: it was edited since."""
    reserved_concurrency: int | None
    """Calls at the same time, at most; null: as many as the server has processors."""
    used_by: list[UsedBy]
    """Newest first, at most 10, of the project's 500 newest jobs."""
    problem: str | None
    """Why functions cannot run on this server; null: they can."""


class FunctionList(ApiModel):
    """Functions by name."""

    data: list[FunctionCard]
    has_more: bool


class FunctionVersion(ApiModel):
    """One version of a function; `$LATEST` is the one that can be changed."""

    version: str
    description: str
    last_modified: str
    code_sha256: str
    code_bytes: int
    handler: str
    aliases: list[str]
    """Names that point here."""


class FunctionVersionList(ApiModel):
    """Versions: `$LATEST`, then the newest first."""

    data: list[FunctionVersion]
    has_more: bool


class FunctionFile(ApiModel):
    """One file of a version."""

    path: str
    bytes: int
    text: str | None
    """Null: not UTF-8, or larger than 256 KiB."""


class FunctionCode(ApiModel):
    """What one version consists of."""

    name: str
    version: str
    handler: str
    description: str
    revision: str
    """Of this state of the version; given back when it is saved, it keeps two editors from overwriting each other."""
    files: list[FunctionFile]
    """At most 100."""


class NewFunction(ApiModel):
    """A function to be registered."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    files: Files
    """Text by path, such as `{"lambda_function.py": "…"}`."""
    handler: Annotated[str, Field(max_length=128)] | None = None
    """`MODULE.FUNCTION`; null: `lambda_handler` of the only Python file, or of `lambda_function.py`."""
    description: Description = ""
    publish: bool = True
    """Freeze it as version 1."""


class NewCode(ApiModel):
    """Code that a function is to have; exactly one of `files` and `from_version`."""

    model_config = ConfigDict(extra="forbid")

    files: (
        Annotated[
            dict[Annotated[str, Field(max_length=1024)], Text | None],
            Field(min_length=1, max_length=100),
        ]
        | None
    ) = None
    """Text by path, put over the files that are there; null removes a file."""
    from_version: Annotated[str, Field(max_length=128)] | None = None
    """The code of this version or alias again."""
    publish: bool = True
    """Freeze it as the next version."""
    description: Description | None = None
    """Of the version; null: the function's."""
    revision: Annotated[str, Field(max_length=64)] | None = None
    """`revision` that the function must still have; null: any."""

    @model_validator(mode="after")
    def _one_source(self) -> NewCode:
        if (self.files is None) == (self.from_version is None):
            raise ValueError("give either files or from_version")
        return self


class FunctionCall(ApiModel):
    """One call of a function."""

    request_id: str
    time: str
    version: str
    duration_ms: float
    peak_memory_mb: int
    error: str | None
    """Type of the failure; null: it answered."""
    output: str
    """What it printed, cut to its end."""


class FunctionCallList(ApiModel):
    """Calls that the log still has, newest first."""

    data: list[FunctionCall]
    has_more: bool
