"""The adapter as a vLLM server has it: sent whenever its values have changed, and never merged.

A name is a digest of the values. So it never stands for two policies, and neither does an entry of the server's prefix
cache, which goes by the name.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import torch

from tuneward.engine.vllm_client import RefusedError, VllmClient
from tuneward.errors import EngineError


class ServedAdapter:
    """Keeps a server's copy of the adapter `default` up to date.

    Args:
        model: a `peft.PeftModel`.
        client: of the server.
        folder: empty; adapters are handed over in it, and the server reads it under the same path.
    """

    def __init__(self, model: Any, client: VllmClient, folder: Path):
        self._model = model
        self._client = client
        self._folder = folder
        self._loaded: str | None = None

    def synchronise(self) -> str:
        """The name under which the server has the adapter as it is now.

        Raises:
            EngineError: the server does not take it.
        """
        name = f"policy-{adapter_digest(self._model)}"
        if name != self._loaded:
            if self._loaded is not None:
                # Before the load: in a server with room for one adapter, the load would push the old one out.
                self._unload(self._loaded)
                shutil.rmtree(self._folder / self._loaded)
                self._loaded = None
            folder = self._folder / name
            self._model.save_pretrained(str(folder), selected_adapters=["default"])
            self._load(name, folder)
            self._loaded = name
        return name

    def close(self) -> None:
        """Take the adapter off the server, where it still answers."""
        if self._loaded is not None and self._client.is_healthy():
            self._unload(self._loaded)
        self._loaded = None

    def _load(self, name: str, folder: Path) -> None:
        try:
            self._client.command("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
        except RefusedError as error:
            if "already been loaded" in error.text:  # a repeated try, or an earlier sitting of this run
                return
            raise EngineError(
                f"{error} The server has to run with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, hold "
                f"adapters of this rank (--max-lora-rank), and read {folder} (rollout.adapter_folder)."
            ) from None

    def _unload(self, name: str) -> None:
        try:
            self._client.command("/v1/unload_lora_adapter", {"lora_name": name})
        except RefusedError as error:
            if error.status != 404:  # a repeated try finds it gone
                raise


def adapter_digest(model: Any) -> str:
    """16 hexadecimal digits that change with any value of the adapter `default`, its rank or its scale."""
    from peft import get_peft_model_state_dict

    config = model.peft_config["default"]
    digest = hashlib.blake2b(f"{config.r}/{config.lora_alpha}".encode(), digest_size=8)
    tensors: dict[str, torch.Tensor] = get_peft_model_state_dict(model, adapter_name="default")
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"/{name}/{values.dtype}/{tuple(values.shape)}/".encode())
        digest.update(values.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
