"""A model's name → its folder, and what is said when there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tiny import tiny_model

from tuneward.errors import ModelError
from tuneward.home import cache_home, models_home
from tuneward.models.load import load_base
from tuneward.models.pull import pull
from tuneward.models.resolve import resolve


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and no network."""
    monkeypatch.setenv("TUNEWARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "home"


def folder_with(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return path


def test_a_model_folder_is_taken_as_it_is(tiny_chat_model: Path) -> None:
    assert resolve(str(tiny_chat_model)) == tiny_chat_model


def test_an_alias_that_is_not_here_yet_says_how_to_fetch_it() -> None:
    with pytest.raises(ModelError, match=r"not on this machine yet\. Run: tuneward models pull smollm2-135m"):
        resolve("smollm2-135m")


def test_an_alias_that_has_been_pulled_is_its_folder(home: Path) -> None:
    folder = home / "models" / "smollm2-135m"
    folder.mkdir(parents=True)
    (folder / "tuneward.json").write_text("{}")
    assert resolve("smollm2-135m") == folder


def test_a_folder_of_an_alias_that_is_not_whole_does_not_count(home: Path) -> None:
    (home / "models" / "smollm2-135m").mkdir(parents=True)
    with pytest.raises(ModelError, match="tuneward models pull"):
        resolve("smollm2-135m")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no config.json in this folder"),
        ({"adapter_config__json": "{}"}, "this is an adapter, not a model"),
        ({"config__json": "{"}, "config.json: not valid JSON"),
        ({"config__json": "{}"}, "no weights"),
    ],
)
def test_a_folder_that_is_no_whole_model_is_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    folder = folder_with(tmp_path / "model", **files)
    with pytest.raises(ModelError, match=message) as caught:
        resolve(str(folder))
    assert str(caught.value).startswith(str(folder))


def test_a_gguf_name_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        resolve(str(tmp_path / "absent.gguf"))


@pytest.mark.parametrize("content", [b"", b"GGU", b"not a gguf file at all"])
def test_a_file_named_gguf_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fake.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a GGUF file"):
        resolve(str(path))


def test_a_damaged_gguf_file_is_refused_and_leaves_nothing_behind(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(ModelError, match="cannot be read as a GGUF language model"):
        resolve(str(path))
    assert list((home / "models").iterdir()) == []


def test_another_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text("x")
    with pytest.raises(ModelError, match="not a model; expected a folder"):
        resolve(str(path))


def test_a_slip_in_an_alias_gets_the_nearest_one() -> None:
    with pytest.raises(ModelError, match='did you mean "smollm2-135m"'):
        resolve("smolm2-135")


@pytest.mark.parametrize("name", ["zzz", "a/b/c", "./absent", "/absent/model", "~/absent-model-folder"])
def test_a_name_that_is_neither_a_path_nor_an_id_lists_what_there_is(name: str) -> None:
    with pytest.raises(ModelError, match=r"neither a folder.*Embedded models: smollm2-135m"):
        resolve(name)


@pytest.mark.parametrize("name", ["owner/na me", "owner/--", "-owner/x"])
def test_an_id_that_the_hub_would_not_take_is_refused_without_asking_it(name: str) -> None:
    with pytest.raises(ModelError, match="neither a local model nor a valid Hugging Face id"):
        resolve(name)


def test_an_id_that_cannot_be_fetched_says_what_to_do() -> None:
    with pytest.raises(ModelError, match="copy the model here and give its folder"):
        resolve("owner/absent")


def test_an_unknown_alias_cannot_be_pulled() -> None:
    with pytest.raises(ModelError, match=r'"smollm2" is not an embedded model.*Known: smollm2-135m'):
        pull("smollm2")


def test_the_home_is_the_variable_else_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert models_home() == tmp_path / "home" / "models"
    monkeypatch.delenv("TUNEWARD_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_home() == tmp_path / "cache" / "tuneward"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_home() == Path("~/.cache/tuneward").expanduser()


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_damaged_weights_are_a_model_error(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.models.load.check_fits", lambda *_, **__: None)
    folder = tmp_path / "model"
    tiny_model(attention="sdpa").save_pretrained(folder)  # type: ignore[operator]
    if damage == "cut":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        (folder / "config.json").write_text(json.dumps({"model_type": "no-such-architecture"}))
    with pytest.raises(ModelError, match="named-so: cannot be loaded as a causal language model"):
        load_base(folder, "named-so")


def test_cut_weights_are_a_model_error_at_the_memory_check_too(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny_model(attention="sdpa").save_pretrained(folder)  # type: ignore[operator]
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(ModelError):
        load_base(folder)


def test_a_base_model_is_frozen_and_without_dropout(tiny_chat_model: Path) -> None:
    model = load_base(tiny_chat_model)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
