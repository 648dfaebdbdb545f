"""Why a caller is not let in, in the words of each dialect.

Sources: OpenAI RFT contract, 1.1 and 1.5; Bedrock RFT contract, 8.0; AWS's common errors.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuneward.serve.aws_errors import AwsError
from tuneward.serve.errors import ApiError, Dialect


@dataclass(frozen=True, slots=True)
class Refusal:
    """Makes the errors of one dialect: 401 `invalid_api_key` of OpenAI, 403 and a name of AWS."""

    dialect: Dialect

    def no_key(self) -> ApiError | AwsError:
        message = "No API key provided: send Authorization: Bearer KEY."
        return self._made("MissingAuthenticationTokenException", message)

    def unknown_key(self) -> ApiError | AwsError:
        return self._made("UnrecognizedClientException", "Incorrect API key provided.")

    def expired_key(self) -> ApiError | AwsError:
        return self._made("ExpiredTokenException", "This API key has expired; ask an administrator for another.")

    def unknown_access_key(self) -> ApiError | AwsError:
        message = "The access key id is not known here, or was revoked; `tuneward keys create --access-key` makes one."
        return self._made("UnrecognizedClientException", message)

    def session_token(self) -> ApiError | AwsError:
        message = "Access keys of this server have no session token; unset AWS_SESSION_TOKEN."
        return self._made("UnrecognizedClientException", message)

    def signature(self, kind: str, message: str) -> ApiError | AwsError:
        return self._made(kind, message)

    def other_project(self) -> ApiError | AwsError:
        message = "OpenAI-Project is not the project of this key; leave the header and OPENAI_PROJECT_ID out."
        return self._made("AccessDeniedException", message, code="mismatched_project")

    def _made(self, kind: str, message: str, *, code: str = "invalid_api_key") -> ApiError | AwsError:
        if self.dialect == "openai":
            return ApiError(401, message, code=code, headers={"WWW-Authenticate": "Bearer"})
        return AwsError(kind, 403, message)
