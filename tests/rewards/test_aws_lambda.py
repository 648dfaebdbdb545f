"""Functions on AWS, through the real boto3 client: against a server that speaks Lambda's protocol, and moto's."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.rewards.functions.archives import scoring
from tests.rewards.http_server import Reply, Request, Server

from tuneward.config import RewardConfig
from tuneward.errors import GraderError
from tuneward.rewards import build_grader
from tuneward.rewards.aws_lambda import LambdaCaller
from tuneward.rewards.event_grader import EventGrader
from tuneward.rewards.functions import parse_reference
from tuneward.rewards.remote import PAYLOAD_LIMIT_BYTES
from tuneward.types import Row, Sample, Verdict

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:maths:prod"
LOG = "START RequestId: 1\nREPORT RequestId: 1\tMemory Size: 512 MB\tMax Memory Used: 87 MB\n"

Answer = Callable[[Request], Reply]


def samples(*completions: str) -> list[Sample]:
    row = Row("r", ({"role": "user", "content": "7*8?"},), 56)
    return [Sample(f"s-{index}", row, text) for index, text in enumerate(completions)]


def ones(request: Request) -> Reply:
    scores = [{"id": item["id"], "aggregate_reward_score": 1} for item in json.loads(request.body)]
    return Reply(json.dumps(scores).encode(), headers={"X-Amz-Log-Result": base64.b64encode(LOG.encode()).decode()})


def function_error(name: str, message: str) -> Reply:
    payload = json.dumps({"errorType": name, "errorMessage": message}).encode()
    log = base64.b64encode(b"Traceback of the function").decode()
    return Reply(payload, headers={"X-Amz-Function-Error": "Unhandled", "X-Amz-Log-Result": log})


def service_error(status: int, code: str, **headers: str) -> Reply:
    return Reply(b'{"message":"because."}', status, {"x-amzn-ErrorType": code, **headers})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Server]]:
    """Start a server in AWS's place; a dry run is always fine there."""
    servers: list[Server] = []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    def start(answer: Answer) -> Server:
        def answer_calls(request: Request) -> Reply:
            is_dry = request.headers.get("X-Amz-Invocation-Type") == "DryRun"
            return Reply(status=204) if is_dry else answer(request)

        servers.append(Server(answer_calls).__enter__())
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


def calls(server: Server) -> list[Request]:
    return [request for request in server.requests if request.headers["X-Amz-Invocation-Type"] != "DryRun"]


def grader(**options: Any) -> EventGrader:
    limits = {"timeout_s": 30.0, "concurrency": 4, "first_wait_s": 0.001, **options}
    retries = int(limits.pop("retries", 0))
    batch_size = int(limits.pop("batch_size", 64))
    return EventGrader(LambdaCaller(parse_reference(ARN), **limits), batch_size=batch_size, retries=retries)


def test_invoke_is_asked_for_the_answer_and_the_log_with_the_arns_region(aws: Callable[[Answer], Server]) -> None:
    server = aws(ones)
    with grader() as one:
        score = one.score(samples("a", "b"))[0]
    request = calls(server)[0]
    assert request.path == f"/2015-03-31/functions/{ARN.replace(':', '%3A')}/invocations"
    assert request.headers["X-Amz-Invocation-Type"] == "RequestResponse"
    assert request.headers["X-Amz-Log-Type"] == "Tail"
    assert "/eu-west-1/lambda/aws4_request" in request.headers["Authorization"]
    assert [item["id"] for item in json.loads(request.body)] == ["s-0", "s-1"]
    assert score.reward == 1
    assert score.receipt.stdout_tail == LOG
    assert score.receipt.peak_memory_bytes == 87 << 20
    assert (score.receipt.grader, score.receipt.isolation) == (ARN, "remote")


def test_an_error_of_the_function_is_told_with_its_type_message_and_log(aws: Callable[[Answer], Server]) -> None:
    aws(lambda _: function_error("KeyError", "'final_answer'"))
    with grader() as one:
        receipt = one.score(samples("a"))[0].receipt
    assert receipt.verdict is Verdict.ERROR
    assert receipt.message == "maths:prod: the function failed with KeyError: 'final_answer' for one sample."
    assert receipt.stderr_tail == "Traceback of the function"


@pytest.mark.parametrize(
    ("name", "message", "verdict"),
    [
        ("Sandbox.Timedout", "RequestId: 1 Error: Task timed out after 3.00 seconds", Verdict.TIMEOUT),
        ("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: signal: killed", Verdict.OOM),
        ("Runtime.OutOfMemory", "", Verdict.OOM),
    ],
)
def test_limits_on_aws_have_verdicts_of_their_own(
    aws: Callable[[Answer], Server], name: str, message: str, verdict: Verdict
) -> None:
    aws(lambda _: function_error(name, message))
    with grader() as one:
        receipt = one.score(samples("a"))[0].receipt
    assert receipt.verdict is verdict
    assert "on AWS, or lower reward.batch_size" in receipt.message


@pytest.mark.parametrize(
    "refusal",
    [
        service_error(429, "TooManyRequestsException"),
        service_error(500, "ServiceException"),
        service_error(503, "SomethingNewException"),
        service_error(409, "ResourceConflictException"),
        Reply(is_dropped=True),
    ],
)
def test_throttling_and_trouble_on_the_way_are_waited_out(aws: Callable[[Answer], Server], refusal: Reply) -> None:
    replies = iter([refusal] * 3)
    server = aws(lambda request: next(replies, None) or ones(request))
    with grader() as one:
        score = one.score(samples("a"))[0]
    assert (score.reward, score.receipt.attempts, len(calls(server))) == (1, 1, 4)


def test_a_function_that_stays_throttled_fails_its_samples_once(aws: Callable[[Answer], Server]) -> None:
    server = aws(lambda _: service_error(429, "TooManyRequestsException"))
    with grader(retries=3) as one:
        score = one.score(samples("a", "b"))[0]
    assert len(calls(server)) == 8
    assert "AWS answered TooManyRequestsException (because) (tried 8 times) for 2 samples" in score.receipt.message


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (403, "AccessDeniedException", "Allow lambda:InvokeFunction"),
        (404, "ResourceNotFoundException", "Correct reward.function"),
    ],
)
def test_a_function_that_may_not_be_called_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, aws: Callable[[Answer], Server], status: int, code: str, advice: str
) -> None:
    aws(ones)
    with Server(lambda _: service_error(status, code)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
        with pytest.raises(GraderError, match=f"{ARN}: AWS answered {code} .*{advice}"):
            build_grader(RewardConfig(function=ARN))
        assert len(server.requests) == 1


def test_missing_credentials_are_said_so(monkeypatch: pytest.MonkeyPatch, aws: Callable[[Answer], Server]) -> None:
    aws(ones)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(GraderError, match="Unable to locate credentials"):
        grader()


def test_a_call_without_an_answer_in_time_is_given_up(aws: Callable[[Answer], Server]) -> None:
    is_over = threading.Event()
    aws(lambda request: ones(request) if is_over.wait(30) else Reply())
    with grader(timeout_s=0.3) as one:
        receipt = one.score(samples("a"))[0].receipt
        is_over.set()
    assert receipt.verdict is Verdict.TIMEOUT
    assert "raise reward.timeout_s" in receipt.message


def test_batches_stay_below_the_payload_limit_of_lambda(aws: Callable[[Answer], Server]) -> None:
    server = aws(ones)
    one = build_grader(RewardConfig(function=ARN))
    try:
        scores = one.score(samples(*("x" * 1_500_000 for _ in range(8))))
    finally:
        one.close()
    assert [score.reward for score in scores] == [1] * 8
    sizes = [len(request.body) for request in calls(server)]
    assert max(sizes) <= 6 * 1024 * 1024
    assert max(sizes) > PAYLOAD_LIMIT_BYTES / 2


def test_calls_at_the_same_time_stay_within_the_limit(aws: Callable[[Answer], Server]) -> None:
    lock, running, most = threading.Lock(), 0, 0
    two = threading.Barrier(2)

    def answer(request: Request) -> Reply:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        two.wait(30)
        with lock:
            running -= 1
        return ones(request)

    aws(answer)
    with grader(concurrency=2, batch_size=1) as one:
        assert [score.reward for score in one.score(samples(*"abcdef"))] == [1] * 6
    assert most == 2


def test_motos_lambda_scores_with_a_function_that_boto3_created(
    monkeypatch: pytest.MonkeyPatch, aws: Callable[[Answer], Server]
) -> None:
    """Its answers are canned, since it would need containers to run code; the protocol and the ARN are its own."""
    import boto3
    import httpx
    from moto.core.config import default_user_config
    from moto.server import ThreadedMotoServer

    aws(ones)  # for its credentials
    monkeypatch.setitem(default_user_config, "lambda", {"use_docker": False})
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
    try:
        iam = boto3.client("iam", region_name="eu-west-1", endpoint_url=url)
        role = iam.create_role(RoleName="reward", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        made = boto3.client("lambda", region_name="eu-west-1").create_function(
            FunctionName="maths", Runtime="python3.12", Handler="reward.lambda_handler", Role=role,
            Code={"ZipFile": scoring(1)},
        )  # fmt: skip
        answer = json.dumps([{"id": "s-0", "aggregate_reward_score": 0.5}])
        httpx.post(
            f"{url}/moto-api/static/lambda-simple/response",
            json={"results": [answer] * 2, "region": "eu-west-1"},
            trust_env=False,
        )
        one = build_grader(RewardConfig(function=made["FunctionArn"]))
        try:
            score = one.score(samples("a"))[0]
        finally:
            one.close()
    finally:
        server.stop()
    assert score.reward == 0.5, score.receipt.message
