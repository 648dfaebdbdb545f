"""Does the model fit? Asked before a byte of it is loaded."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from tuneward.errors import ModelError


def available_memory_bytes() -> int | None:
    """Bytes this process may still take: the lesser of the machine's and the control group's, or None."""
    limits = [value for value in (_machine_available(), _cgroup_available()) if value is not None]
    return min(limits, default=None)


def total_memory_bytes() -> int | None:
    """Bytes this process could have if it were alone: the lesser of the machine's and the control group's, or None."""
    limits = [value for value in (_machine("MemTotal:"), _cgroup_limit()) if value is not None]
    return min(limits, default=None)


def _machine_available() -> int | None:
    return _machine("MemAvailable:")


def _machine(field: str) -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _cgroup_limit() -> int | None:
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return None
    return int(limit) if limit.isdigit() else None


def _cgroup_available() -> int | None:
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used)


def resident_bytes() -> int:
    """Of this process now; 0 where the system does not tell."""
    return _status_bytes("VmRSS:")


def peak_resident_bytes(process: int | None = None) -> int:
    """The most a process, by default this one, has had; 0 where the system does not tell, or when it is gone."""
    return _status_bytes("VmHWM:", process)


def _status_bytes(field: str, process: int | None = None) -> int:
    try:
        for line in Path(f"/proc/{process or 'self'}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def return_freed_memory() -> None:
    """Give what this process has freed back to the system.

    The C library keeps freed blocks of less than some megabytes in the hope of using them again. A phase of a step
    leaves behind hundreds of megabytes in pieces that the next phase, which asks for other sizes, cannot use, so that
    memory would grow to the sum of both instead of the larger one.
    """
    if sys.platform == "linux" and hasattr(_C_LIBRARY, "malloc_trim"):  # glibc has it, others need it less
        _C_LIBRARY.malloc_trim(0)


_C_LIBRARY = ctypes.CDLL(None)


def weights_bytes(folder: Path, bytes_per_parameter: int) -> int:
    """Size of a folder's weights once loaded at `bytes_per_parameter`.

    Read from the headers of the safetensors files, so nothing is loaded.

    Raises:
        ModelError: a damaged file.
    """
    import math

    from safetensors import SafetensorError, safe_open

    parameters = 0
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(str(file), framework="numpy") as tensors:
                parameters += sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
        except SafetensorError as error:
            raise ModelError(f"{file}: damaged weights ({error}); copy the model again.") from None
    return parameters * bytes_per_parameter


def check_fits(folder: Path, name: str, *, bytes_per_parameter: int, working_bytes: int = 512 << 20) -> None:
    """Refuse a model whose weights and least working memory exceed what is available.

    Raises:
        ModelError: with the need, what there is, and what to do.
    """
    available = available_memory_bytes()
    if available is None:
        return
    needed = weights_bytes(folder, bytes_per_parameter) + working_bytes
    if needed > available:
        raise ModelError(
            f"{name} needs about {needed / 2**30:.1f} GiB of memory to train here, but only "
            f"{available / 2**30:.1f} GiB are available. Use a smaller model or a machine with more memory."
        )
