"""Names of AWS's kind: base model ids with a provider, and ARNs.

Of an ARN that somebody gives only the kind of resource and the id at its end count: ids are unique, and whose a thing
is stands in the store, so a server may change its region without its resources changing their names.
Source: Bedrock RFT contract, section 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Resource = Literal["model-customization-job", "custom-model", "custom-model-deployment"]

_MANAGED = re.compile(r"[a-z][a-z0-9-]{0,62}\.[a-z][a-z0-9-]{1,62}(?::[a-z0-9-]{1,63}){0,2}")
_OURS = re.compile(
    r"arn:aws(?:-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:"
    r"(?P<kind>model-customization-job|custom-model-deployment|custom-model)/(?:[^/]{1,200}/)?(?P<id>[a-z0-9]{12})"
)
_FOUNDATION = re.compile(r"arn:aws(?:-[^:]+)?:bedrock:[a-z0-9-]{1,20}::foundation-model/(?P<id>[^/]{1,200})")


@dataclass(frozen=True, slots=True)
class Arns:
    """Makes the ARNs of one project.

    Args:
        region: of the server.
        account_id: 12 digits, the project's.
    """

    region: str
    account_id: str

    def job(self, base_id: str, job_id: str) -> str:
        """Args: `base_id` as `managed_id` gives it."""
        return self._arn(f"model-customization-job/{base_id}/{job_id}")

    def model(self, base_id: str, model_id: str) -> str:
        return self._arn(f"custom-model/{base_id}/{model_id}")

    def deployment(self, deployment_id: str) -> str:
        return self._arn(f"custom-model-deployment/{deployment_id}")

    def foundation_model(self, base_id: str) -> str:
        return f"arn:aws:bedrock:{self.region}::foundation-model/{base_id}"

    def _arn(self, resource: str) -> str:
        return f"arn:aws:bedrock:{self.region}:{self.account_id}:{resource}"


def id_in_arn(name: str, kind: Resource) -> str | None:
    """The id at the end of an ARN; None when the name is no ARN of this kind of resource."""
    found = _OURS.fullmatch(name)
    return found["id"] if found and found["kind"] == kind else None


def resource_of(arn: str) -> tuple[Resource, str] | None:
    """Kind and id that an ARN names; None when it is none of ours."""
    found = _OURS.fullmatch(arn)
    return (found["kind"], found["id"]) if found else None  # type: ignore[return-value]


def without_foundation_arn(name: str) -> str:
    """A base model's id from its ARN; other names as they are."""
    found = _FOUNDATION.fullmatch(name)
    return found["id"] if found else name


def is_managed(name: str) -> bool:
    """Whether a name has the form that base model ids have in ARNs: `provider.name`, perhaps `:version:context`."""
    return bool(_MANAGED.fullmatch(name))


def managed_id(model_id: str, provider: str = "tuneward") -> str:
    """How a base model is called in ARNs: its id where that has the form, else `PROVIDER.ID` in lower case, with
    hyphens for whatever may not stand there."""
    if is_managed(model_id):
        return model_id
    words = [re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in (provider, model_id)]
    return ".".join(word[:63] if re.match(r"[a-z][a-z0-9-]", word) else f"x-{word}"[:63] for word in words)
