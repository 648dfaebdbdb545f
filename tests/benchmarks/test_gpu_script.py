"""`benchmarks/gpu.py` from end to end on a tiny model without a GPU, and what it does when parts fail or take long."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import gpu  # noqa: E402
import gpu_model  # noqa: E402
import gpu_parts  # noqa: E402

from tuneward.engine import sampler, scorer  # noqa: E402
from tuneward.engine.flex_plan import tree_attention  # noqa: E402
from tuneward.engine.graph_decode import decode_plan  # noqa: E402


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script writes, run as a user runs it, where only the files it needs can be imported."""
    out = tmp_path_factory.mktemp("gpu") / "gpu.json"
    script = (
        "import sys, torch; torch.set_num_threads(1); sys.modules['pydantic'] = None\n"
        f"sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import gpu\n"
        f"sys.argv = ['gpu.py', '--device', 'cpu', '--sizes', 'tiny', '--out', {str(out)!r}]; sys.exit(gpu.main())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| decode graph: tokens_per_second_24 |" in done.stdout
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_every_part_has_figures_and_none_an_error(results: dict[str, Any]) -> None:
    parts = results["tiny"]
    assert {name: part["error"] for name, part in parts.items() if "error" in part} == {}
    assert {"model", "decode eager", "decode graph", "decode transformers", "prefill tree", "prefill flex"} < set(parts)
    assert {"update tree", "logprobs flex", "logprobs graph", "kernel flex", "mismatch", "24 GB"} < set(parts)
    for part in parts.values():
        for value in part.values():
            assert not isinstance(value, float) or math.isfinite(value)
    assert {"device", "torch", "transformers"} == set(results["machine"])


def test_fast_paths_agree_with_plain_ones_on_the_tiny_model(results: dict[str, Any]) -> None:
    parts = results["tiny"]
    assert parts["logprobs graph"]["same_tokens_share"] == 1
    for part in ("logprobs graph", "logprobs flex", "mismatch"):
        assert parts[part]["max_difference"] < 1e-4
    differences = [value for name, value in parts["kernel flex"].items() if name.endswith("difference")]
    assert len(differences) == 4
    assert max(differences) < 1e-5


def test_plans_are_exchanged_for_a_measurement_only(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = gpu_model.Bench("tiny", "cpu")
    used = []

    def noted(*arguments: Any, **settings: Any) -> Any:
        used.append(arguments)
        return decode_plan(*arguments, **settings) if settings else tree_attention(*arguments)

    gpu_parts.draw(bench, noted, 12, 2)
    gpu_parts.logprobs(bench, noted, bench.pairs[:1])
    assert len(used) == 2
    assert (sampler.decode_plan, scorer.tree_attention) == (decode_plan, tree_attention)
    monkeypatch.setattr(bench.model, "logits", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gpu_parts.draw(bench, noted, 12, 2)
    with pytest.raises(ZeroDivisionError):
        gpu_parts.logprobs(bench, noted, bench.pairs[:1])
    assert (sampler.decode_plan, scorer.tree_attention) == (decode_plan, tree_attention)


@pytest.mark.parametrize(("size", "billions"), [("0.6b", 0.596), ("4b", 4.022), ("8b", 8.191)])
def test_shapes_have_the_published_numbers_of_parameters(size: str, billions: float) -> None:
    # Model cards of Qwen3-0.6B, -4B and -8B: 0.6B, 4.0B and 8.2B parameters.
    model = gpu_model.random_model(gpu_model.SIZES[size], torch.device("meta"))
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e9 == pytest.approx(billions, abs=5e-4)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_an_error_is_kept_and_the_next_part_runs() -> None:
    found: dict[str, Any] = {}
    later = time.monotonic() + 60
    gpu.run_part(found, "broken", lambda: {"x": 1 / 0}, later)
    gpu.run_part(found, "sound", lambda: {"x": 1.0}, later)
    assert "ZeroDivisionError" in found["broken"]["error"]
    assert found["sound"]["x"] == 1.0


def test_a_part_that_takes_too_long_is_stopped_and_after_the_deadline_none_begins() -> None:
    found: dict[str, Any] = {}
    started = time.monotonic()
    gpu.run_part(found, "slow", lambda: time.sleep(30) or {}, started + 0.2)
    gpu.run_part(found, "late", lambda: {"x": 1.0}, started)
    assert "TimeoutError" in found["slow"]["error"]
    assert time.monotonic() - started < 10
    assert found["late"] == {"error": "not run: no time was left"}


def test_a_size_whose_process_dies_keeps_what_it_had_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying, out = tmp_path / "dying.py", tmp_path / "gpu.json"
    dying.write_text(
        "import json, pathlib, sys\n"
        "told = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "if told['--sizes'] == '8b': sys.exit(9)\n"
        "written = {'machine': {'device': told['--device']}, told['--sizes']: {'model': {'teraflops': 1.5}}}\n"
        "pathlib.Path(told['--out']).write_text(json.dumps(written)); sys.exit(7)"
    )
    monkeypatch.setattr(gpu, "__file__", str(dying))
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--sizes", "4b", "8b", "--out", str(out)])
    assert gpu.main() == 0
    assert json.loads(out.read_text()) == {
        "machine": {"device": "cuda"},
        "4b": {"model": {"teraflops": 1.5}, "process": {"error": "ended with status 7"}},
        "8b": {"process": {"error": "ended with status 9"}},
    }
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".json"] == ["gpu.json"]


def test_the_table_has_a_row_a_figure_and_a_column_a_size() -> None:
    table = gpu.table(
        {
            "machine": {"device": "H200"},
            "4b": {"update": {"seconds": 1.25}},
            "8b": {"update": {"error": "out of memory"}},
        }
    )
    assert "| figure | 4b | 8b |" in table
    assert "| update: seconds | 1.25 |  |" in table
    assert "| update: error |  | out of memory |" in table
