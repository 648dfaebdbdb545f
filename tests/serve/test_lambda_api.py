"""Functions through the real boto3 client for `lambda`: made, versioned, called, described, deleted."""

from __future__ import annotations

import base64
import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.rewards.functions.archives import archive
from tests.service import app_with

from tuneward.accounts.principal import Principal
from tuneward.config import ServerConfig
from tuneward.rewards.functions import FunctionRegistry, LocalFunction
from tuneward.serve.functions import downloads
from tuneward.serve.server import Server, bind

ROLE = "arn:aws:iam::000000000000:role/lambda-ex"
HANDLER = "reward.lambda_handler"
PRINCIPALS = {
    "first": Principal("key_1", "proj_default", "000000000000", "admin"),
    "second": Principal("key_2", "proj_second", "000000000002", "admin"),
    "viewer": Principal("key_3", "proj_default", "000000000000", "viewer"),
}


async def by_access_key(request: Any) -> Principal:
    """The access key id of the signature says who calls."""
    given = request.headers.get("authorization", "")
    return next(principal for name, principal in PRINCIPALS.items() if f"Credential={name}/" in given)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWARD_HOME", str(folder))
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_PROFILE", "TUNEWARD_FUNCTIONS"):
            patch.delenv(name, raising=False)
        yield folder


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    app = app_with(home / "server", authenticate=by_access_key, config=ServerConfig(region="eu-central-1"))
    with Server(app, bind("127.0.0.1", 0)) as server:
        yield server.url


@pytest.fixture(scope="module")
def connect(url: str) -> Callable[[str], Any]:
    def client(who: str) -> Any:
        return boto3.client(
            "lambda",
            endpoint_url=url,
            region_name="eu-central-1",
            aws_access_key_id=who,
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )

    return client


@pytest.fixture
def client(connect: Callable[[str], Any]) -> Iterator[Any]:
    """Of the first project, which has no functions before and after."""
    made = connect("first")
    yield made
    for function in made.list_functions()["Functions"]:
        made.delete_function(FunctionName=function["FunctionName"])


def source(expression: str) -> bytes:
    return archive(reward=f"def lambda_handler(event, context):\n    return {expression}\n")


def create(client: Any, name: str = "maths", code: bytes | None = None, **settings: Any) -> dict[str, Any]:
    settings = {"Runtime": "python3.12", "Role": ROLE, "Handler": HANDLER, **settings}
    made: dict[str, Any] = client.create_function(
        FunctionName=name, Code={"ZipFile": code or source("[event, context.invoked_function_arn]")}, **settings
    )
    return made


def call(client: Any, name: str = "maths", event: Any = None, **options: Any) -> Any:
    return json.loads(client.invoke(FunctionName=name, Payload=json.dumps(event), **options)["Payload"].read())


def refusal(of: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        of(**arguments)
    answer = caught.value.response
    assert answer["Error"]["Message"]
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_function_is_created_waited_for_and_called(client: Any) -> None:
    made = create(client, Timeout=30, MemorySize=256, Description="adds", Environment={"Variables": {"LEVEL": "2"}})
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["FunctionArn"] == "arn:aws:lambda:eu-central-1:000000000000:function:maths"
    for waiter in ("function_exists", "function_active_v2", "function_active", "function_updated_v2"):
        client.get_waiter(waiter).wait(FunctionName="maths")
    read = client.get_function_configuration(FunctionName="maths")
    assert (read["Timeout"], read["MemorySize"], read["Description"], read["Role"]) == (30, 256, "adds", ROLE)
    assert read["Environment"] == {"Variables": {"LEVEL": "2"}}
    assert (read["State"], read["LastUpdateStatus"], read["Version"]) == ("Active", "Successful", "$LATEST")
    answer = client.invoke(FunctionName=made["FunctionArn"], Payload=b'{"a": 1}', LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) == [{"a": 1}, f"{made['FunctionArn']}:$LATEST"]
    assert "REPORT RequestId" in base64.b64decode(answer["LogResult"]).decode()


def test_every_way_to_name_a_function_finds_it(client: Any) -> None:
    arn = create(client, code=source("1"))["FunctionArn"]
    for name in ("maths", "maths:$LATEST", "000000000000:function:maths", arn, f"{arn}:$LATEST"):
        assert call(client, name) == 1
    assert refusal(client.invoke, FunctionName="123456789012:function:maths")[0] == "ResourceNotFoundException"
    assert refusal(client.invoke, FunctionName="maths:1", Qualifier="2")[0] == "InvalidParameterValueException"


def test_an_error_of_the_function_is_told_as_lambda_tells_it(client: Any) -> None:
    code = archive(
        reward="def lambda_handler(event, context):\n    print('before')\n    raise ValueError('no such row')\n"
    )
    create(client, code=code)
    answer = client.invoke(FunctionName="maths", LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    error = json.loads(answer["Payload"].read())
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "no such row")
    assert '/var/task/reward.py", line 3, in lambda_handler' in error["stackTrace"][-1]
    assert "before" in base64.b64decode(answer["LogResult"]).decode()


def test_code_that_does_not_load_is_an_error_of_the_function(client: Any) -> None:
    create(client, code=archive(reward="import no_such_module\ndef lambda_handler(event, context): return 1\n"))
    answer = client.invoke(FunctionName="maths", LogType="Tail")
    error = json.loads(answer["Payload"].read())
    assert (answer["FunctionError"], error["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")
    assert error["errorMessage"].startswith("/var/task/reward.py, line 1: ")
    assert "no_such_module" in base64.b64decode(answer["LogResult"]).decode()


def test_versions_stay_as_they_were_and_aliases_move_between_them(client: Any) -> None:
    create(client, code=source("'old'"), Publish=True)
    client.update_function_code(FunctionName="maths", ZipFile=source("'new'"))
    client.get_waiter("function_updated_v2").wait(FunctionName="maths")
    published = client.publish_version(FunctionName="maths", Description="second")
    assert (published["Version"], published["Description"]) == ("2", "second")
    assert published["FunctionArn"].endswith(":maths:2")
    assert client.publish_version(FunctionName="maths")["Version"] == "2"
    alias = client.create_alias(FunctionName="maths", Name="prod", FunctionVersion="1", Description="live")
    assert alias["AliasArn"].endswith(":maths:prod")
    assert (call(client, "maths", Qualifier="prod"), call(client, "maths:prod"), call(client)) == ("old", "old", "new")
    assert client.invoke(FunctionName="maths:prod")["ExecutedVersion"] == "1"
    moved = client.update_alias(FunctionName="maths", Name="prod", FunctionVersion="2")
    assert (moved["FunctionVersion"], moved["Description"]) == ("2", "live")
    assert call(client, "maths:prod") == "new"
    assert [a["Name"] for a in client.list_aliases(FunctionName="maths")["Aliases"]] == ["prod"]
    versions = client.list_versions_by_function(FunctionName="maths")["Versions"]
    assert [one["Version"] for one in versions] == ["$LATEST", "1", "2"]
    assert refusal(client.delete_function, FunctionName="maths", Qualifier="2") == ("ResourceConflictException", 409)
    client.delete_function(FunctionName="maths", Qualifier="1")
    client.delete_alias(FunctionName="maths", Name="prod")
    client.delete_alias(FunctionName="maths", Name="prod")
    assert refusal(client.get_alias, FunctionName="maths", Name="prod") == ("ResourceNotFoundException", 404)


def test_what_aws_refuses_is_refused_by_the_same_name(client: Any) -> None:
    create(client)
    assert refusal(lambda: create(client)) == ("ResourceConflictException", 409)
    missing = {"FunctionName": "nothing"}
    assert refusal(client.get_function, **missing) == ("ResourceNotFoundException", 404)
    assert refusal(client.invoke, **missing, InvocationType="Event") == ("ResourceNotFoundException", 404)
    invalid = ("InvalidParameterValueException", 400)
    assert refusal(lambda: create(client, "other", Runtime="nodejs22.x")) == invalid
    assert refusal(lambda: create(client, "other", Timeout=901)) == invalid
    assert refusal(lambda: create(client, "other", Handler="main.handler")) == invalid
    assert refusal(lambda: create(client, "other", code=b"no archive")) == invalid
    assert refusal(lambda: create(client, "other", Environment={"Variables": {"AWS_REGION": "x"}})) == invalid
    assert refusal(lambda: create(client, "other", Layers=["arn:aws:lambda:eu-central-1:1:layer:a:1"])) == invalid
    assert refusal(client.invoke, FunctionName="maths", Payload=b"{") == ("InvalidRequestContentException", 400)
    large = {"Payload": b'"' + b"x" * 6_291_456 + b'"'}
    assert refusal(client.invoke, FunctionName="maths", **large) == ("RequestTooLargeException", 413)
    stale = {"FunctionName": "maths", "RevisionId": "0b8f1a5e-0000-4000-8000-000000000000"}
    assert refusal(client.update_function_configuration, **stale, Timeout=5) == ("PreconditionFailedException", 412)
    assert refusal(client.publish_version, FunctionName="maths", CodeSha256="another")[0] == invalid[0]


def test_functions_are_listed_in_pages(client: Any) -> None:
    for number in range(5):
        create(client, f"f-{number}")
    pages = list(client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert [[f["FunctionName"] for f in one["Functions"]] for one in pages] == [["f-0", "f-1"], ["f-2", "f-3"], ["f-4"]]
    assert refusal(client.list_functions, Marker="?")[0] == "InvalidParameterValueException"


def test_an_update_changes_what_it_names_and_the_next_call_sees_it(client: Any) -> None:
    made = create(client, code=source("__import__('os').environ.get('LEVEL')"), Timeout=30)
    assert call(client) is None
    changed = client.update_function_configuration(
        FunctionName="maths", Environment={"Variables": {"LEVEL": "3"}}, RevisionId=made["RevisionId"]
    )
    assert (changed["Timeout"], changed["RevisionId"] != made["RevisionId"]) == (30, True)
    assert call(client) == "3"
    tried = client.update_function_code(FunctionName="maths", ZipFile=source("'never'"), DryRun=True)
    assert tried["CodeSha256"] != made["CodeSha256"]
    assert call(client) == "3"


def test_the_code_can_be_fetched_without_a_key_for_a_while(client: Any) -> None:
    code = source("'this'")
    create(client, code=code)
    location = client.get_function(FunctionName="maths")["Code"]["Location"]
    with urllib.request.urlopen(location) as answer:
        assert answer.read() == code
    assert zipfile.ZipFile(io.BytesIO(code)).namelist() == ["reward.py"]
    token = location.rpartition("/")[2]
    changed = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    for forged in (changed, token[:20], "x"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(location.replace(token, forged))


def test_an_address_of_code_expires(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    create(client)
    monkeypatch.setattr(downloads, "LIFETIME_S", -1)
    location = client.get_function(FunctionName="maths")["Code"]["Location"]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(location)


def test_an_asynchronous_call_runs_though_nobody_waits(client: Any, home: Path) -> None:
    create(client, code=source("print('seen', event)"))
    assert client.invoke(FunctionName="maths", InvocationType="Event", Payload=b'"alone"')["StatusCode"] == 202
    log = FunctionRegistry(home / "functions").log("maths").follow()
    assert any("seen alone" in text for text in log)


def test_a_dry_run_calls_nothing(client: Any) -> None:
    create(client)
    assert client.invoke(FunctionName="maths", InvocationType="DryRun")["StatusCode"] == 204


def test_permissions_are_kept_and_read_back(client: Any) -> None:
    create(client)
    assert refusal(client.get_policy, FunctionName="maths") == ("ResourceNotFoundException", 404)
    wanted = {
        "FunctionName": "maths",
        "StatementId": "bedrock",
        "Action": "lambda:InvokeFunction",
        "Principal": "bedrock.amazonaws.com",
        "SourceAccount": "000000000000",
    }
    statement = json.loads(client.add_permission(**wanted)["Statement"])
    assert statement["Principal"] == {"Service": "bedrock.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"AWS:SourceAccount": "000000000000"}}
    assert refusal(client.add_permission, **wanted) == ("ResourceConflictException", 409)
    assert json.loads(client.get_policy(FunctionName="maths")["Policy"])["Statement"] == [statement]
    client.remove_permission(FunctionName="maths", StatementId="bedrock")
    assert refusal(client.remove_permission, FunctionName="maths", StatementId="bedrock")[1] == 404


def test_tags_belong_to_the_function(client: Any) -> None:
    arn = create(client, Tags={"team": "red"})["FunctionArn"]
    client.tag_resource(Resource=arn, Tags={"cost": "low", "team": "blue"})
    assert client.list_tags(Resource=arn)["Tags"] == {"cost": "low", "team": "blue"}
    client.untag_resource(Resource=arn, TagKeys=["team"])
    assert client.get_function(FunctionName="maths")["Tags"] == {"cost": "low"}


def test_a_reserved_concurrency_of_zero_stops_a_function(client: Any) -> None:
    create(client, code=source("1"))
    client.put_function_concurrency(FunctionName="maths", ReservedConcurrentExecutions=0)
    assert refusal(client.invoke, FunctionName="maths") == ("TooManyRequestsException", 429)
    client.put_function_concurrency(FunctionName="maths", ReservedConcurrentExecutions=1)
    assert client.get_function_concurrency(FunctionName="maths")["ReservedConcurrentExecutions"] == 1
    assert call(client) == 1
    client.delete_function_concurrency(FunctionName="maths")
    assert "Concurrency" not in client.get_function(FunctionName="maths")


def test_a_project_sees_its_own_functions_alone(client: Any, connect: Callable[[str], Any]) -> None:
    arn = create(client, code=source("'first'"))["FunctionArn"]
    other = connect("second")
    assert other.list_functions()["Functions"] == []
    for name in ("maths", arn):
        assert refusal(other.get_function, FunctionName=name) == ("ResourceNotFoundException", 404)
    assert ":000000000002:" in create(other, code=source("'second'"))["FunctionArn"]
    assert (call(client), call(other)) == ("first", "second")
    assert refusal(other.invoke, FunctionName=arn) == ("ResourceNotFoundException", 404)
    other.delete_function(FunctionName="maths")
    assert call(client) == "first"


def test_a_viewer_may_look_but_not_touch(client: Any, connect: Callable[[str], Any]) -> None:
    create(client)
    viewer = connect("viewer")
    assert viewer.get_function_configuration(FunctionName="maths")["FunctionName"] == "maths"
    for refused in (viewer.invoke, viewer.delete_function, viewer.publish_version):
        assert refusal(refused, FunctionName="maths") == ("AccessDeniedException", 403)


def test_the_command_line_and_the_server_show_the_same_functions(client: Any, cli: Callable[..., Any]) -> None:
    create(client, code=source("'from the server'"))
    listed = json.loads(cli("functions", "list", "--json").out)
    assert [function["name"] for function in listed] == ["maths"]
    function = LocalFunction(FunctionRegistry(), "maths", workers=1)
    assert json.loads(function.invoke(b"null").payload) == "from the server"
    function.close()
