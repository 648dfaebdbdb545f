"""ARNs of one caller's jobs, models and deployments."""

from __future__ import annotations

from tuneward.accounts.principal import Principal
from tuneward.jobs.arns import Arns, managed_id
from tuneward.jobs.directory import ModelDirectory
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.serve.services import Services
from tuneward.store.tables import Deployment, Job, Model


class Names:
    """ARNs tell the base model that really works, whatever name it was asked for under.

    Args:
        arns: of the caller's project.
        directory: base models.
    """

    def __init__(self, arns: Arns, directory: ModelDirectory):
        self._arns = arns
        self._directory = directory
        self.account_id = arns.account_id

    def job(self, job: Job) -> str:
        return self._arns.job(self.base_id(job.spec["base_model"]), job.id)

    def base_of(self, job: Job) -> str:
        return self.foundation(job.spec["base_model"])

    def tuned_by(self, job: Job) -> str | None:
        """Of the model that a job made; None while there is none."""
        return job.model_id and self._arns.model(self.base_id(job.spec["base_model"]), job.model_id)

    def model(self, model: Model) -> str:
        return self._arns.model(self.base_id(model.base_model), model.id)

    def deployment(self, deployment: Deployment) -> str:
        return self._arns.deployment(deployment.id)

    def foundation(self, base_model: str) -> str:
        """Args: `base_model` as the model directory calls it."""
        return self._arns.foundation_model(self.base_id(base_model))

    def foundation_alias(self, managed: str) -> str:
        """Args: `managed` as it stands in ARNs."""
        return self._arns.foundation_model(managed)

    def base_id(self, base_model: str) -> str:
        """How ARNs call a base model, also one that the configuration has no more."""
        try:
            return self._directory.find(base_model).managed_id
        except ObjectNotFoundError:
            return managed_id(base_model)


def names_for(services: Services, caller: Principal) -> Names:
    """The ARNs of a caller."""
    return Names(Arns(services.config.region, caller.account_id), services.directory)
