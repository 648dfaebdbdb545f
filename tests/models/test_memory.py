"""The memory check before loading."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tiny import tiny_model

from tuneward.errors import ModelError
from tuneward.models import memory
from tuneward.models.load import load_base
from tuneward.models.memory import available_memory_bytes, check_fits, weights_bytes

GIB = 2**30


def have(monkeypatch: pytest.MonkeyPatch, machine: int | None, cgroup: int | None = None) -> None:
    monkeypatch.setattr(memory, "_machine_available", lambda: machine)
    monkeypatch.setattr(memory, "_cgroup_available", lambda: cgroup)


@pytest.mark.parametrize(
    ("machine", "cgroup", "expected"), [(5, 3, 3), (3, 5, 3), (5, None, 5), (None, 5, 5), (5, 0, 0), (None, None, None)]
)
def test_what_is_available_is_the_lesser_of_machine_and_control_group(
    monkeypatch: pytest.MonkeyPatch, machine: int | None, cgroup: int | None, expected: int | None
) -> None:
    have(monkeypatch, machine, cgroup)
    assert available_memory_bytes() == expected


def test_this_machine_has_some_memory() -> None:
    assert (available_memory_bytes() or 0) > 2**20


@pytest.mark.parametrize("shard", ["50GB", "20KB"])
def test_the_size_of_weights_is_read_from_all_shards_whatever_their_type(tmp_path: Path, shard: str) -> None:
    model = tiny_model(attention="sdpa", dtype=torch.bfloat16)
    model.save_pretrained(tmp_path, max_shard_size=shard)  # type: ignore[operator]
    stored = {parameter.data_ptr(): parameter.numel() for parameter in model.parameters()}
    assert len(list(tmp_path.glob("*.safetensors"))) == (1 if shard == "50GB" else len(list(tmp_path.glob("model-*"))))
    assert weights_bytes(tmp_path, 4) == 4 * sum(stored.values())


def test_a_model_that_fits_to_the_byte_is_let_through(monkeypatch: pytest.MonkeyPatch, tiny_chat_model: Path) -> None:
    need = weights_bytes(tiny_chat_model, 4) + GIB
    have(monkeypatch, need)
    check_fits(tiny_chat_model, "tiny", bytes_per_parameter=4, working_bytes=GIB)
    have(monkeypatch, need - 1)
    with pytest.raises(ModelError):
        check_fits(tiny_chat_model, "tiny", bytes_per_parameter=4, working_bytes=GIB)


def test_a_model_that_does_not_fit_is_refused_with_need_stock_and_a_way_out(
    monkeypatch: pytest.MonkeyPatch, tiny_chat_model: Path
) -> None:
    have(monkeypatch, 3 * GIB // 2)
    with pytest.raises(ModelError) as caught:
        check_fits(tiny_chat_model, "tiny", bytes_per_parameter=4, working_bytes=8 * GIB)
    assert str(caught.value) == (
        "tiny needs about 8.0 GiB of memory to train here, but only 1.5 GiB are available. "
        "Use a smaller model or a machine with more memory."
    )


def test_nothing_is_refused_when_the_available_memory_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tiny_chat_model: Path
) -> None:
    have(monkeypatch, None)
    check_fits(tiny_chat_model, "tiny", bytes_per_parameter=4, working_bytes=10**18)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the check is the CPU's")
def test_loading_asks_before_it_loads(monkeypatch: pytest.MonkeyPatch, tiny_chat_model: Path) -> None:
    have(monkeypatch, 1)
    with pytest.raises(ModelError, match="my-model needs about"):
        load_base(tiny_chat_model, "my-model")
