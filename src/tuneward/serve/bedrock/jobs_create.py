"""From a CreateModelCustomizationJob to a job. Source: Bedrock RFT contract, 8.1."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.accounts.principal import Principal
from tuneward.jobs.arns import id_in_arn
from tuneward.jobs.directory import BaseModel
from tuneward.jobs.problems import ConflictError, ObjectNotFoundError
from tuneward.jobs.rivals import again_after_rival
from tuneward.jobs.service import NewJob
from tuneward.jobs.spec import JobSpec, LogsSource, MetadataFilters, Source, UriSource
from tuneward.jobs.states import TERMINAL
from tuneward.rewards.functions.problems import FunctionNotFoundError, InvalidFunctionError
from tuneward.rewards.functions.reference import parse_reference
from tuneward.serve.bedrock.hyperparameters import reinforcement_config, supervised_config
from tuneward.serve.bedrock.jobs_request import CreateJob, LambdaGrader, TrainingData
from tuneward.serve.bedrock.validation import validation_exception
from tuneward.serve.context import context_length
from tuneward.serve.services import Services
from tuneward.store.tables import Job, Model, RequestToken

LAMBDA_TIMEOUT_S = 900
"""Longest that AWS lets a function run; its own limit decides."""

REWARD_RETRIES = 3
"""Source: Bedrock RFT contract, 1.8."""

SUPPORTED = "REINFORCEMENT_FINE_TUNING with customizationConfig.rftConfig, and FINE_TUNING with hyperParameters"


def create_job(services: Services, caller: Principal, asked: CreateJob) -> Job:
    """Make a job, or answer the one that the same clientRequestToken made.

    Raises:
        AwsError: ValidationException for what cannot be carried out.
        ConflictError: the name of the job or of the model is taken.
        ObjectNotFoundError: no such model.
        LimitExceededError: too many jobs of the project have not ended.
    """
    if made := _made_with(services, caller, asked.client_request_token):
        return made
    new = NewJob(
        dialect="bedrock",
        model=asked.base_model_identifier,
        spec=_spec(services, caller, asked),
        request=asked.model_dump(mode="json", by_alias=True, exclude_unset=True),
        name=asked.job_name,
        token=asked.client_request_token,
    )
    try:
        services.database.read(lambda session: _check_model_name(session, caller.project_id, asked.custom_model_name))
        return again_after_rival(lambda: services.jobs.create(caller, new))
    except ConflictError:
        # The same request may have come twice at once, as when a client does not wait for the first answer.
        if made := _made_with(services, caller, asked.client_request_token):
            return made
        raise


def _made_with(services: Services, caller: Principal, token: str | None) -> Job | None:
    def work(session: Session) -> Job | None:
        made = session.get(RequestToken, (caller.project_id, "job", token))
        return session.get(Job, made.object_id) if made else None

    return services.database.read(work) if token else None


def _check_model_name(session: Session, project_id: str, name: str) -> None:
    taken = select(Model.id).where(Model.project_id == project_id, Model.custom_name == name)
    promised = select(Job.id).where(
        Job.project_id == project_id, Job.state.not_in(TERMINAL), Job.spec["custom_name"].as_string() == name
    )
    if session.scalar(taken) or session.scalar(promised):
        raise ConflictError(f'A custom model named "{name}" exists already or is being made; choose another name.')


def _spec(services: Services, caller: Principal, asked: CreateJob) -> JobSpec:
    base, start_from = _base_model(services, caller, asked.base_model_identifier)
    context = context_length(base.local)
    reinforcement = asked.customization_config.rft_config if asked.customization_config else None
    config: dict[str, Any]
    if asked.customization_type == "REINFORCEMENT_FINE_TUNING":
        if reinforcement is None or reinforcement.grader_config is None:
            raise validation_exception(
                "REINFORCEMENT_FINE_TUNING needs customizationConfig.rftConfig.graderConfig.lambdaGrader.lambdaArn: "
                "the function that scores completions."
            )
        if asked.hyper_parameters:
            raise validation_exception(
                "hyperParameters are for FINE_TUNING; give customizationConfig.rftConfig.hyperParameters instead."
            )
        config = reinforcement_config(reinforcement.hyper_parameters, context)
        config["reward"] = _reward(services, caller, reinforcement.grader_config.lambda_grader)
    elif asked.customization_type == "FINE_TUNING":
        if asked.customization_config is not None:
            raise validation_exception(
                "customizationConfig is not for FINE_TUNING, which is the default; with rftConfig set "
                "customizationType to REINFORCEMENT_FINE_TUNING."
            )
        config = supervised_config(asked.hyper_parameters, context)
    else:
        raise validation_exception(
            f"customizationType {asked.customization_type} is not supported. Supported: {SUPPORTED}."
        )
    validators = asked.validation_data_config.validators if asked.validation_data_config else []
    return JobSpec(
        method="supervised" if asked.customization_type == "FINE_TUNING" else "reinforcement",
        base_model=base.id,
        start_from=start_from,
        training=_source(asked.training_data_config),
        validation=tuple(UriSource(uri=validator.s3_uri) for validator in validators),
        config=config,
        custom_name=asked.custom_model_name,
        output_uri=asked.output_data_config.s3_uri,
    )


def _base_model(services: Services, caller: Principal, name: str) -> tuple[BaseModel, str | None]:
    """The base model, and the adapter to start from when the name is that of a tuned model."""
    is_tuned = id_in_arn(name, "custom-model") is not None
    try:
        if not is_tuned:
            return services.directory.find(name), None
    except ObjectNotFoundError as unknown:
        try:
            services.models.get(caller.project_id, name)
        except ObjectNotFoundError:
            raise validation_exception(f"The provided model identifier is invalid. {unknown.message}") from None
    model = services.models.get(caller.project_id, name)
    return services.directory.find(model.base_model), model.adapter


def _reward(services: Services, caller: Principal, grader: LambdaGrader) -> dict[str, Any]:
    try:
        reference = parse_reference(grader.lambda_arn)
        if not reference.is_local:
            return {"function": grader.lambda_arn, "timeout_s": LAMBDA_TIMEOUT_S, "retries": REWARD_RETRIES}
        services.functions(caller.project_id).get(grader.lambda_arn)
    except FunctionNotFoundError as error:
        raise validation_exception(
            f"lambdaArn: {error} Create it first, with CreateFunction of Lambda's API."
        ) from None
    except InvalidFunctionError as error:
        raise validation_exception(f"lambdaArn: {error}") from None
    return {"function": grader.lambda_arn, "retries": REWARD_RETRIES}


def _source(data: TrainingData) -> Source:
    logs = data.invocation_logs_config
    if logs is None:
        assert data.s3_uri is not None  # one of the two is given
        return UriSource(uri=data.s3_uri)
    filters = logs.request_metadata_filters
    return LogsSource(
        uri=logs.invocation_log_source.s3_uri,
        use_prompt_response=logs.use_prompt_response,
        filters=MetadataFilters.model_validate(filters.model_dump(exclude_unset=True)) if filters else None,
    )
