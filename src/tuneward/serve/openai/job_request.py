"""The body of `POST /v1/fine_tuning/jobs`. Source: OpenAI RFT contract, 3.1 to 3.4; Bedrock RFT contract, 7.3.

Types are taken as they are: "1" is no number. `"auto"` and null mean the same and become None.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from jsonschema.validators import validator_for
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    field_validator,
    model_validator,
)

from tuneward.types import Json


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def _none_for_auto(value: Any) -> Any:
    if isinstance(value, str):
        if value != "auto":
            raise ValueError('expected a number or "auto"')
        return None
    return value


AUTO = BeforeValidator(_none_for_auto, json_schema_input_type=int | float | Literal["auto"] | None)

Epochs = Annotated[Annotated[int, Field(ge=1, le=50)] | None, AUTO]
BatchSize = Annotated[Annotated[int, Field(ge=1, le=256)] | None, AUTO]
Multiplier = Annotated[Annotated[float, Field(gt=0, le=10_000)] | None, AUTO]
ComputeMultiplier = Annotated[Annotated[float, Field(gt=0.00001, le=10)] | None, AUTO]
Count = Annotated[Annotated[int, Field(ge=1, le=1_000_000)] | None, AUTO]
Effort = Literal["default", "low", "medium", "high"]


class SupervisedHyperparameters(_Wire):
    """`method.supervised.hyperparameters`, and the old form at the top of the body."""

    n_epochs: Epochs = None
    batch_size: BatchSize = None
    learning_rate_multiplier: Multiplier = None


class ReinforcementHyperparameters(SupervisedHyperparameters):
    """`method.reinforcement.hyperparameters`."""

    compute_multiplier: ComputeMultiplier = None
    eval_interval: Count = None
    eval_samples: Count = None
    reasoning_effort: Effort | None = None


class Supervised(_Wire):
    hyperparameters: SupervisedHyperparameters | None = None


class ResponseFormat(_Wire):
    """`response_format` in chat completions' shape, or in that of the Responses API, which has no `json_schema`
    around its fields."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")

    @field_validator("json_schema")
    @classmethod
    def _names_a_schema(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None and not isinstance(value.get("schema"), dict):
            raise ValueError("schema is missing or no object")
        return value

    @model_validator(mode="after")
    def _is_a_schema(self) -> ResponseFormat:
        if self.type == "json_schema":
            schema = (self.json_schema or {}).get("schema", self.schema_)
            if schema is None:
                raise ValueError("json_schema is missing")
            _check_schema(schema)
        return self

    def chat_form(self) -> dict[str, Json]:
        """As chat completions have it."""
        if self.type != "json_schema":
            return {"type": self.type}
        flat = {"name": self.name, "description": self.description, "strict": self.strict, "schema": self.schema_}
        inner = self.json_schema or {key: value for key, value in flat.items() if value is not None}
        return {"type": self.type, "json_schema": {"name": "answer", **inner}}


def _check_schema(schema: dict[str, Json]) -> None:
    try:
        validator_for(schema).check_schema(schema)
    except Exception as error:  # the library also stumbles over what is far from a schema
        reason = getattr(error, "message", None) or f"{type(error).__name__}"
        raise ValueError(f"not a JSON schema ({reason})") from None


class Reinforcement(_Wire):
    grader: dict[str, Json]
    """Checked on its own."""
    hyperparameters: ReinforcementHyperparameters | None = None
    response_format: ResponseFormat | None = None


class Method(_Wire):
    type: Literal["supervised", "reinforcement", "dpo"]
    supervised: Supervised | None = None
    reinforcement: Reinforcement | None = None
    dpo: Json = None


class WandbIntegration(_Wire):
    project: Annotated[str, Field(min_length=1)]
    name: str | None = None
    entity: str | None = None
    tags: list[str] | None = None


class Integration(_Wire):
    type: Literal["wandb"]
    wandb: WandbIntegration


MetadataKey = Annotated[str, Field(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Field(max_length=512)]


class CreateJob(_Wire):
    """The whole body."""

    model: Annotated[str, Field(min_length=1, max_length=2048)]
    training_file: Annotated[str, Field(min_length=1, max_length=256)]
    validation_file: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    method: Method | None = None
    hyperparameters: SupervisedHyperparameters | None = None
    """The old form, of supervised jobs alone."""
    suffix: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = None
    """Becomes a part of the model's name, whose parts are separated by colons."""
    seed: Annotated[int, Field(ge=0, le=2147483647)] | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)] | None = None
    integrations: Annotated[list[Integration], Field(max_length=5)] | None = None
    tuneward: dict[str, dict[str, Json]] | None = None
    """Tuneward's own: sections of a run's configuration, which go before what the hyperparameters say."""

    _sent: dict[str, Json] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, data: Any, handler: ModelWrapValidatorHandler[CreateJob]) -> CreateJob:
        made = handler(data)
        made._sent = data if isinstance(data, dict) else {}
        return made

    @property
    def sent(self) -> dict[str, Json]:
        """The body as it came."""
        return self._sent
