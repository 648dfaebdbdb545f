"""`POST /api/jobs/code`: a job as texts that start an equivalent one."""

from __future__ import annotations

from fastapi import APIRouter, Request

from tuneward.serve.api.job_request import NewJobRequest, spec_of
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Developer, Use
from tuneward.serve.job_code.boto3_text import boto3_script
from tuneward.serve.job_code.facts import JobFacts
from tuneward.serve.job_code.local_text import cli, config_yaml
from tuneward.serve.job_code.openai_text import openai_script

routes = APIRouter(prefix="/api", tags=["console"])


class JobCode(ApiModel):
    """Texts, each of which makes the same job in its own way; comments say what a way has no words for."""

    config_yaml: str
    """A configuration for `tuneward train`, or `tuneward sft`."""
    openai: str
    """Python with OpenAI's client."""
    boto3: str
    """Python with AWS's client, through Bedrock's API."""
    cli: str
    """Commands for a shell: training without a server, and the request to this one by curl."""


@routes.post("/jobs/code")
def job_code(body: NewJobRequest, request: Request, principal: Developer, services: Use) -> JobCode:
    """The code of a job. Nothing is started."""
    spec = spec_of(body, services, principal.project_id)
    is_tuned = spec.start_from is not None
    facts = JobFacts(
        spec=spec,
        model=body.model,
        managed_model=body.model if is_tuned else services.directory.find(spec.base_model).managed_id,
        name=body.name,
        metadata=body.metadata,
        url=str(request.base_url).rstrip("/"),
        region=services.config.region,
        account_id=principal.account_id,
        request=body.sent,
    )
    return JobCode(
        config_yaml=config_yaml(facts), openai=openai_script(facts), boto3=boto3_script(facts), cli=cli(facts)
    )
