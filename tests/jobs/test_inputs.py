"""The rows of a job in its own folder, wherever they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.engine import Engine, rows

from tuneward.config import StorageConfig
from tuneward.data.objects import ObjectStore
from tuneward.errors import DataError
from tuneward.jobs.inputs import Inputs, fetch
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.jobs.spec import FileSource, JobSpec, LogsSource, UriSource


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    folder = tmp_path / "objects" / "bucket"
    folder.mkdir(parents=True)
    return folder


def fetched(engine: Engine, tmp_path: Path, **sources: Any) -> Inputs:
    spec = JobSpec(method="reinforcement", base_model="tiny", **sources)
    objects = ObjectStore(StorageConfig(folder=tmp_path / "objects"))
    return fetch(spec, tmp_path / "inputs", project_id="proj_mine", files=engine.files, objects=objects)


def test_objects_and_files_are_copied(engine: Engine, tmp_path: Path, bucket: Path) -> None:
    (bucket / "train.jsonl").write_bytes(b'{"a": 1}\n{"a": 2}')
    file_id = engine.upload(rows("validation", 2))
    inputs = fetched(
        engine,
        tmp_path,
        training=UriSource(uri="s3://bucket/train.jsonl"),
        validation=(FileSource(file_id=file_id), UriSource(uri="s3://bucket/train.jsonl")),
    )
    assert inputs.are_there
    assert inputs.train.read_bytes() == b'{"a": 1}\n{"a": 2}\n'
    assert inputs.validation is not None
    assert len(inputs.validation.read_text().splitlines()) == 4
    assert sorted(path.name for path in inputs.train.parent.iterdir()) == ["train.jsonl", "validation.jsonl"]


def test_without_validation_there_is_no_such_file(engine: Engine, tmp_path: Path) -> None:
    inputs = fetched(engine, tmp_path, training=FileSource(file_id=engine.upload(rows("train", 2))))
    assert inputs.validation is None
    assert inputs.are_there


def test_logged_calls_become_rows(engine: Engine, tmp_path: Path, bucket: Path) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "2+2?"}]}]}
    record = {
        "schemaType": "ModelInvocationLog",
        "operation": "Converse",
        "input": {"inputContentType": "application/json", "inputBodyJson": body},
        "output": {},
    }
    (bucket / "logs").mkdir()
    (bucket / "logs" / "a.json").write_text(json.dumps(record) + "\n")
    inputs = fetched(engine, tmp_path, training=LogsSource(uri="s3://bucket/logs/"))
    (row,) = map(json.loads, inputs.train.read_text().splitlines())
    assert row["messages"] == [{"role": "user", "content": "2+2?"}]


@pytest.mark.usefixtures("bucket")
def test_missing_sources_are_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError):
        fetched(engine, tmp_path, training=FileSource(file_id="file-gone"))
    with pytest.raises(DataError, match=r"gone\.jsonl"):
        fetched(engine, tmp_path, training=UriSource(uri="s3://bucket/gone.jsonl"))
    assert not (tmp_path / "inputs" / "train.jsonl").exists()


def test_another_projects_file_is_missing(engine: Engine, tmp_path: Path) -> None:
    engine.add_project("proj_other", "222222222222")
    file_id = engine.upload(rows("train", 2), "proj_other")
    with pytest.raises(ObjectNotFoundError):
        fetched(engine, tmp_path, training=FileSource(file_id=file_id))
