"""A job that really was trained, as `/api/jobs` tells of it, and its adapter in other hands."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import peft
import pytest
from starlette.testclient import TestClient
from tests.jobs.engine import Engine, rows
from tests.service import app_with
from transformers import AutoModelForCausalLM

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.jobs.spec import FileSource


@pytest.mark.slow
def test_a_trained_job_is_told_in_full(tmp_path: Path, tiny_chat_model: Path) -> None:
    engine = Engine(tmp_path / "home", tiny_chat_model)
    spec = engine.spec(
        training=FileSource(file_id=engine.upload(rows("train", 10), DEFAULT_PROJECT)),
        validation=(FileSource(file_id=engine.upload(rows("validation", 4), DEFAULT_PROJECT)),),
    )
    job_id = engine.submit(spec, DEFAULT_PROJECT)
    with engine.worker():
        engine.wait_for_state(job_id, "succeeded")
    with TestClient(app_with(engine.home, config=engine.config)) as client:
        found = client.get(f"/api/jobs/{job_id}").json()
        assert found["state"] == "succeeded"
        assert found["result"]["comparison"]["n"] == 4
        assert found["result"]["steps"] == found["plan"]["total_steps"] == 5
        assert found["tuned_model"]["step"] == found["result"]["adapter_step"]
        assert [phase["name"] for phase in found["phases"]] == ["validation", "data_processing", "training"]
        configuration = client.get(f"/api/jobs/{job_id}/configuration").json()
        lineage = configuration["lineage"]
        assert (lineage["training_rows"], lineage["validation_rows"], lineage["base_model"]) == (10, 4, "tiny")
        assert lineage["plan"]["total_steps"] == 5
        assert "learning_rate: 0.01" in configuration["changed_yaml"]
        assert client.get(f"/api/jobs/{job_id}/data").json()["split"] == {"training": 10, "validation": 4}
        checkpoints = client.get(f"/api/jobs/{job_id}/checkpoints").json()["data"]
        result = next(one for one in checkpoints if one["is_result"])
        assert result["sha256"] is not None
        for text in (json.dumps(found), json.dumps(configuration), json.dumps(checkpoints)):
            assert str(tmp_path) not in text
        answer = client.get(f"/api/jobs/{job_id}/checkpoints/{result['step']}/adapter")
        deployed = client.post(f"/api/jobs/{job_id}/checkpoints/{result['step']}/deploy", json={"name": "toy"}).json()
        assert (deployed["status"], deployed["model"]) == ("Active", found["tuned_model"]["name"])
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path / "out")
    [folder] = (tmp_path / "out").iterdir()
    loaded = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_chat_model), str(folder))
    assert loaded.peft_config["default"].r == 4
    engine.database.close()
