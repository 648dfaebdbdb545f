"""How OpenAI's methods are called that this server has, and where they differ."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from scripts.compatibility.outcome import Recipe
from scripts.compatibility.world import GRADER, MODEL, ROWS, World
from tests.serve.job_rows import reinforcement

_SERVING = "[parameters](serving.md#{})"
_CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
_RESPONSE: dict[str, Any] = {"model": MODEL, "input": "Hello", "max_output_tokens": 16}


class Answer(BaseModel):
    """What answers are held to; short, so that they come to their end."""

    is_right: bool


def _part(world: World, upload: str) -> str:
    return str(world.openai.uploads.parts.create(upload, data=ROWS).id)


def _complete(world: World) -> dict[str, Any]:
    upload = world.upload().id
    return {"upload_id": upload, "part_ids": [_part(world, upload)]}


def _permitted(world: World) -> dict[str, Any]:
    checkpoint = world.checkpoint()
    permissions = world.openai.fine_tuning.checkpoints.permissions
    made = permissions.create(checkpoint, project_ids=["proj_default"])
    return {"permission_id": next(iter(made)).id, "fine_tuned_model_checkpoint": checkpoint}


RECIPES = {
    "chat.completions.create": Recipe(lambda _: _CHAT, _SERVING.format("chat-completions")),
    "chat.completions.parse": Recipe(lambda _: _CHAT | {"max_tokens": 64, "response_format": Answer}),
    "chat.completions.stream": Recipe(lambda _: _CHAT),
    "completions.create": Recipe(
        lambda _: {"model": MODEL, "prompt": "Once upon", "max_tokens": 4, "logprobs": 1},
        _SERVING.format("text-completions"),
    ),
    "files.content": Recipe(lambda world: {"file_id": world.file()}),
    "files.create": Recipe(
        lambda _: {"file": ("train.jsonl", ROWS), "purpose": "fine-tune"}, "[rules for names and sizes](files.md)"
    ),
    "files.delete": Recipe(lambda world: {"file_id": world.file()}),
    "files.list": Recipe(lambda _: {}),
    "files.retrieve": Recipe(lambda world: {"file_id": world.file()}),
    "files.retrieve_content": Recipe(lambda world: {"file_id": world.file()}),
    "files.wait_for_processing": Recipe(lambda world: {"id": world.file()}, "files are processed at once"),
    "fine_tuning.alpha.graders.run": Recipe(
        lambda _: {"grader": GRADER, "model_sample": "4", "item": {"answer": "4"}}
    ),
    "fine_tuning.alpha.graders.validate": Recipe(lambda _: {"grader": GRADER}),
    "fine_tuning.checkpoints.permissions.create": Recipe(
        lambda world: {"fine_tuned_model_checkpoint": world.checkpoint(), "project_ids": ["proj_default"]},
        "any key of the project may; projects are those of this server",
    ),
    "fine_tuning.checkpoints.permissions.delete": Recipe(_permitted),
    "fine_tuning.checkpoints.permissions.list": Recipe(
        lambda world: {"fine_tuned_model_checkpoint": world.checkpoint()}
    ),
    "fine_tuning.checkpoints.permissions.retrieve": Recipe(
        lambda world: {"fine_tuned_model_checkpoint": world.checkpoint()}
    ),
    "fine_tuning.jobs.cancel": Recipe(lambda world: {"fine_tuning_job_id": world.job()}),
    "fine_tuning.jobs.checkpoints.list": Recipe(lambda world: {"fine_tuning_job_id": world.job()}),
    "fine_tuning.jobs.create": Recipe(
        lambda world: {"model": MODEL, "training_file": world.training_file, "method": reinforcement()},
        "methods `reinforcement` and `supervised`; [what differs](coming-from-openai.md#what-differs)",
    ),
    "fine_tuning.jobs.list": Recipe(lambda _: {}),
    "fine_tuning.jobs.list_events": Recipe(lambda world: {"fine_tuning_job_id": world.job()}),
    "fine_tuning.jobs.pause": Recipe(lambda world: {"fine_tuning_job_id": world.job("validating", "running")}),
    "fine_tuning.jobs.resume": Recipe(
        lambda world: {"fine_tuning_job_id": world.job("validating", "running", "pausing", "paused")}
    ),
    "fine_tuning.jobs.retrieve": Recipe(lambda world: {"fine_tuning_job_id": world.job()}),
    "models.delete": Recipe(lambda world: {"model": world.tuned_model()}, "tuned models only"),
    "models.list": Recipe(lambda _: {}),
    "models.retrieve": Recipe(lambda _: {"model": MODEL}),
    "responses.create": Recipe(lambda _: _RESPONSE, _SERVING.format("responses")),
    "responses.delete": Recipe(lambda world: {"response_id": world.response()}),
    "responses.input_items.list": Recipe(lambda world: {"response_id": world.response()}),
    "responses.input_tokens.count": Recipe(lambda _: {"model": MODEL, "input": "Hello"}),
    "responses.parse": Recipe(lambda _: _RESPONSE | {"max_output_tokens": 64, "text_format": Answer}),
    "responses.retrieve": Recipe(lambda world: {"response_id": world.response()}),
    "responses.stream": Recipe(lambda _: _RESPONSE),
    "uploads.cancel": Recipe(lambda world: {"upload_id": world.upload().id}),
    "uploads.complete": Recipe(_complete),
    "uploads.create": Recipe(
        lambda _: {
            "bytes": len(ROWS), "filename": "train.jsonl", "mime_type": "application/jsonl", "purpose": "fine-tune"
        }
    ),
    "uploads.parts.create": Recipe(lambda world: {"upload_id": world.upload().id, "data": ROWS}),
    "uploads.upload_file_chunked": Recipe(
        lambda _: {
            "file": ROWS, "filename": "train.jsonl", "bytes": len(ROWS), "mime_type": "application/jsonl",
            "purpose": "fine-tune",
        }
    ),
}  # fmt: skip
"""By name; those of beta under the name without it."""
