"""What boto3 and S3 refuse, in words that say what to do.

Texts that Bedrock's own jobs fail with begin the same. Source: Bedrock RFT contract, 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from tuneward.errors import DataError, PassingDataError

Operation = Literal["GetObject", "PutObject", "ListBucket", "DeleteObject"]

_DENIED = frozenset(
    {"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem", "InvalidAccessKeyId"}
    | {"SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed"}
)
_BUSY = frozenset(
    {"SlowDown", "503", "500", "InternalError", "ServiceUnavailable", "RequestTimeout", "ThrottlingException"}
)
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


def is_broken_stream(error: Exception) -> bool:
    """Whether a connection broke while content came through it."""
    from botocore import exceptions

    broken = (
        exceptions.IncompleteReadError,
        exceptions.ReadTimeoutError,
        exceptions.ResponseStreamingError,
        exceptions.ConnectionClosedError,
    )
    return isinstance(error, broken)


@contextmanager
def explained(connect: Callable[[], Any], bucket: str, key: str, operation: Operation) -> Iterator[None]:
    """Turns failures of boto3 into DataError, or PassingDataError where another try may succeed.

    Args:
        connect: gives the client that the block uses.
        bucket: what it works on.
        key: object or prefix.
        operation: what it does, as a policy calls it.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error, OSError) as error:
        cause = getattr(error, "last_exception", None) or error.__cause__ or error.__context__
        if isinstance(error, Boto3Error) and isinstance(cause, ClientError | BotoCoreError | OSError):
            error = cause
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "404":
                code = _missing(connect, bucket)
            text, may_pass = _of_code(code, bucket, key, operation), code in _BUSY
        else:
            text, may_pass = _of_connection(error, bucket, key, connect), _is_connection(error)
        raise (PassingDataError if may_pass else DataError)(text) from error


def _missing(connect: Callable[[], Any], bucket: str) -> str:
    """Which of the two is not there; an answer without a body does not say."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        connect().head_bucket(Bucket=bucket)
    except ClientError as error:
        return "NoSuchBucket" if error.response["Error"]["Code"] == "404" else "NoSuchKey"
    except BotoCoreError:
        pass
    return "NoSuchKey"


def _of_code(code: str, bucket: str, key: str, operation: Operation) -> str:
    uri = f"s3://{bucket}/{key}"
    if code == "NoSuchBucket":
        return f"There is no bucket {bucket}; check its name and the server's storage.endpoint_url."
    if code == "NoSuchKey":
        return f"{uri} does not exist; check the key."
    if code in _DENIED:
        reason = f"{code}; let the server's credentials do s3:{operation} there"
        if operation == "GetObject":
            known = f"Could not validate GetObject permissions to access Amazon S3 bucket: {bucket} at key {key}"
            return f"{known} ({reason})."
        return f"Amazon S3 perms missing ({operation}): {uri} ({reason})."
    if code in _BUSY:
        return f"The object storage was too busy for {uri} several times ({code}); try again later."
    if code in _ELSEWHERE:
        return f"The bucket {bucket} is in another region than the server's settings say ({code}); set AWS_REGION."
    if code in ("PreconditionFailed", "412"):
        return f"{uri} was replaced while it was read; start again."
    return f"The object storage refused {operation} of {uri} ({code or 'no reason given'})."


def _is_connection(error: Exception) -> bool:
    from botocore import exceptions

    return isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError) or is_broken_stream(error)


def _of_connection(error: Exception, bucket: str, key: str, connect: Callable[[], Any]) -> str:
    from botocore import exceptions

    uri = f"s3://{bucket}/{key}"
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return (
            f"{uri} needs credentials; give the server some as for any AWS tool (AWS_ACCESS_KEY_ID, a profile, a role)."
        )
    if _is_connection(error):
        where = connect().meta.endpoint_url
        return f"{uri}: the object storage at {where} could not be reached, or broke off ({type(error).__name__})."
    if isinstance(error, OSError):
        return f"{uri}: a file here cannot be used ({error.strerror or type(error).__name__}); check the disk."
    return f"{uri} cannot be used: {' '.join(str(error).split())[:200]}"
