"""Base models as a list that says what fits, without loading any."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.service import app_with
from tests.tiny import save_tiny_chat_model

from tuneward.config import ServedModelConfig, ServerConfig
from tuneward.runs import model_fit

Listing = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listing:
    monkeypatch.setenv("TUNEWARD_HOME", str(tmp_path / "data"))

    def ask(*models: ServedModelConfig, query: str = "") -> list[dict[str, Any]]:
        with TestClient(app_with(tmp_path / "home", config=ServerConfig(models=models))) as client:
            answer = client.get(f"/api/base-models{query}")
        assert answer.status_code == 200
        return answer.json()["data"]  # type: ignore[no-any-return]

    return ask


def test_a_model_is_described_from_its_folder(listing: Listing, tmp_path: Path) -> None:
    folder = save_tiny_chat_model(tmp_path / "tiny")
    [card] = listing(ServedModelConfig(name=str(folder), id="tiny", aliases=("small",)))
    config = json.loads((folder / "config.json").read_text())
    assert (card["id"], card["aliases"], card["state"], card["loaded"]) == ("tiny", ["small"], "here", False)
    assert card["architecture"] == "LlamaForCausalLM"
    assert (card["layers"], card["context_tokens"]) == (config["num_hidden_layers"], 256)
    assert card["disk_bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    # fp32: four bytes each, and the file's header.
    assert 0 <= (folder / "model.safetensors").stat().st_size - 4 * card["parameters"] < 10_000
    memory = card["memory"]
    assert memory["fits"]
    assert memory["problem"] is None
    assert sum(part["bytes"] for part in memory["parts"]) == memory["needs_bytes"]
    assert memory["needs_bytes"] <= memory["planned_bytes"] <= memory["limit_bytes"]


def test_a_model_that_does_not_fit_says_what_to_change(
    listing: Listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_tiny_chat_model(tmp_path / "tiny")
    monkeypatch.setattr(model_fit, "machine_bytes", lambda: model_fit.LIBRARIES_BYTES + (40 << 20))
    [card] = listing(ServedModelConfig(name=str(folder), id="tiny"))
    assert not card["memory"]["fits"]
    assert "tiny needs at least" in card["memory"]["problem"]
    assert card["memory"]["needs_bytes"] > card["memory"]["limit_bytes"]


def test_models_that_are_not_here_or_damaged_are_listed_too(listing: Listing, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    absent, broken = listing(
        ServedModelConfig(name="smollm2-135m"), ServedModelConfig(name=str(tmp_path / "broken"), id="broken")
    )
    assert (absent["state"], absent["parameters"], absent["memory"]) == ("absent", None, None)
    assert broken["state"] == "damaged"
    assert "no config.json" in broken["problem"]


def test_the_plan_can_be_left_out(listing: Listing, tmp_path: Path) -> None:
    folder = save_tiny_chat_model(tmp_path / "tiny")
    [card] = listing(ServedModelConfig(name=str(folder)), query="?memory=false")
    assert card["parameters"] is not None
    assert card["memory"] is None
