"""The registry keeps AWS Lambda's semantics: versions never change, aliases move, names and limits have rules."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.rewards.functions.archives import archive, scoring

from tuneward.rewards.functions import (
    FunctionConflictError,
    FunctionNotFoundError,
    FunctionRegistry,
    InvalidFunctionError,
    parse_reference,
)

HANDLER = "reward.lambda_handler"


def test_a_function_has_the_arn_and_hash_that_aws_would_give_it(registry: FunctionRegistry) -> None:
    code = scoring(1)
    made = registry.create("maths", code, handler=HANDLER)
    assert made.arn == "arn:aws:lambda:us-east-1:000000000000:function:maths"
    assert made.qualified_arn == f"{made.arn}:$LATEST"
    assert made.code_sha256 == base64.b64encode(hashlib.sha256(code).digest()).decode()
    assert made.code_bytes == len(code)
    assert registry.get("maths") == registry.get(made.arn) == registry.get("maths:$LATEST") == made
    assert registry.code("maths") == code


def test_published_versions_never_change_while_latest_moves_on(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    first = registry.publish("maths", "first")
    registry.update("maths", code=scoring(2), timeout_s=90)
    second = registry.publish("maths")
    assert (first.version, second.version) == ("1", "2")
    assert registry.get("maths:1") == first
    assert registry.code("maths:1") == scoring(1)
    assert registry.code("maths:2") == registry.code("maths") == scoring(2)
    assert [one.version for one in registry.versions("maths")] == ["$LATEST", "1", "2"]


def test_publishing_what_is_published_makes_no_new_version(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    assert registry.publish("maths", "first") == registry.publish("maths", "again")
    registry.update("maths", environment={"LEVEL": "2"})
    assert registry.publish("maths").version == "2"


def test_numbers_of_deleted_versions_do_not_come_back(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    for number in range(1, 5):
        registry.update("maths", description=str(number), timeout_s=number)
        assert registry.publish("maths").version == str(number)
        if number in (1, 3):
            registry.delete("maths", str(number))
    with pytest.raises(FunctionNotFoundError, match=r"no version or alias 1; known: \$LATEST, 2, 4"):
        registry.get("maths:1")


def test_an_alias_follows_to_its_version_and_can_be_moved(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    registry.publish("maths")
    registry.set_alias("maths", "prod", "1", "what runs")
    registry.update("maths", code=scoring(2))
    registry.publish("maths")
    assert registry.get("maths:prod").version == "1"
    registry.set_alias("maths", "prod", "2")
    assert registry.get("arn:aws:lambda:eu-west-1:000000000000:function:maths:prod").version == "2"
    with pytest.raises(FunctionConflictError, match="alias prod names"):
        registry.delete("maths", "2")
    registry.delete_alias("maths", "prod")
    registry.delete("maths", "2")
    assert registry.aliases("maths") == []


def test_a_deleted_function_leaves_nothing(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    registry.delete("maths")
    assert registry.functions() == []
    assert [path.name for path in registry.root.iterdir()] == [".lock"]
    with pytest.raises(FunctionNotFoundError, match="No function maths here"):
        registry.get("maths")


def test_code_in_use_outlives_updates_and_deletion_and_is_then_removed(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    _, used = registry.open_code("maths")
    registry.update("maths", code=scoring(2))
    assert (used.path / "reward.py").exists()
    registry.delete("maths")
    assert (used.path / "reward.py").exists()
    registry.create("other", scoring(3), handler=HANDLER)
    used.close()
    registry.delete("other")
    assert not used.path.exists()


def test_code_that_no_version_needs_is_removed(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    registry.update("maths", code=scoring(2))
    assert len(list((registry.root / "maths" / "code").glob("*.zip"))) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timeout_s": 901}, "timeout of 901 s; expected 1 to 900 s"),
        ({"timeout_s": 0}, "expected 1 to 900 s"),
        ({"memory_mb": 64}, "expected 128 to 10240 MB"),
        ({"runtime": "nodejs22.x"}, "expected python3.9 to python3.14"),
        ({"handler": "lambda_handler"}, "expected MODULE.FUNCTION"),
        ({"handler": "../reward.lambda_handler"}, "expected MODULE.FUNCTION"),
        ({"handler": "grader.lambda_handler"}, r"no grader.py .*found: reward.py"),
        ({"environment": {"AWS_REGION": "x"}}, "AWS_REGION is set by the runtime"),
        ({"environment": {"1A": "x"}}, "starts with a letter"),
        ({"environment": {"BIG": "x" * 4096}}, "more than 4096 bytes"),
        ({"description": "x" * 257}, "more than 256 characters"),
    ],
)
def test_settings_outside_the_rules_are_refused_and_change_nothing(
    registry: FunctionRegistry, settings: dict[str, Any], message: str
) -> None:
    made = registry.create("maths", scoring(1), handler=HANDLER)
    with pytest.raises(InvalidFunctionError, match=message):
        registry.update("maths", **settings)
    assert registry.get("maths") == made
    with pytest.raises(InvalidFunctionError, match=message):
        registry.create("other", scoring(1), **{"handler": HANDLER, **settings})


@pytest.mark.parametrize("name", ["", "a b", "../a", ".lock", "a" * 65, "a.b", "a:b"])
def test_names_that_aws_refuses_are_refused(registry: FunctionRegistry, name: str) -> None:
    with pytest.raises(InvalidFunctionError):
        registry.create(name, scoring(1), handler=HANDLER)


def test_names_are_taken_once(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    with pytest.raises(FunctionConflictError, match="maths exists already"):
        registry.create("maths", scoring(1), handler=HANDLER)
    with pytest.raises(InvalidFunctionError, match="cannot be an alias"):
        registry.set_alias("maths", "7", "$LATEST")


def test_a_wrong_name_suggests_the_right_one(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    with pytest.raises(FunctionNotFoundError, match='did you mean "maths"'):
        registry.get("math")


def test_handlers_may_lie_in_folders(registry: FunctionRegistry) -> None:
    made = registry.create("deep", archive(graders__maths="x = 1"), handler="graders/maths.score")
    assert (made.module_path, made.function) == ("graders/maths.py", "score")
    assert registry.update("deep", handler="graders.maths.score").module_path == "graders/maths.py"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("maths", ("maths", None, True)),
        ("maths:prod", ("maths", "prod", True)),
        ("maths:$LATEST", ("maths", "$LATEST", True)),
        ("arn:aws:lambda:us-west-2:000000000000:function:m:3", ("m", "3", True)),
        ("arn:aws:lambda:us-west-2:123456789012:function:m", ("m", None, False)),
        ("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:m:prod", ("m", "prod", False)),
    ],
)
def test_references_name_functions_here_and_on_aws(text: str, parts: tuple[str, str | None, bool]) -> None:
    parsed = parse_reference(text)
    assert (parsed.name, parsed.qualifier, parsed.is_local) == parts


@pytest.mark.parametrize("text", ["", "a b", "maths:", "arn:aws:s3:::bucket", "arn:aws:lambda:x:1:function:m", "a:b:c"])
def test_other_texts_name_no_function(text: str) -> None:
    with pytest.raises(InvalidFunctionError, match="names no function"):
        parse_reference(text)


def test_functions_of_other_accounts_are_not_here(registry: FunctionRegistry) -> None:
    with pytest.raises(FunctionNotFoundError, match="AWS account 123456789012"):
        registry.get("arn:aws:lambda:us-west-2:123456789012:function:m")


def test_a_damaged_description_says_which_file(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    (registry.root / "maths" / "function.json").write_text('{"latest": 1}')
    with pytest.raises(InvalidFunctionError, match=r"function\.json: not a function's description"):
        registry.get("maths")


def test_updates_from_several_processes_lose_nothing(registry: FunctionRegistry, tmp_path: Path) -> None:
    registry.create("maths", scoring(1), handler=HANDLER)
    script = tmp_path / "publish.py"
    script.write_text(
        "import sys\n"
        "from tuneward.rewards.functions import FunctionRegistry\n"
        "registry = FunctionRegistry()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "for index in range(5):\n"
        "    registry.set_alias('maths', f'{sys.argv[1]}-{index}', '$LATEST')\n"
    )
    writers = [
        subprocess.Popen([sys.executable, script, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "abc"
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    while any(writer.poll() is None for writer in writers):
        json.loads((registry.root / "maths" / "function.json").read_bytes())  # always whole
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(registry.aliases("maths")) == 15
