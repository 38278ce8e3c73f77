"""Trials whose files another runtime compiles; the converters' part is a small file of the tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from contexts import SMALL, open_context
from tflite_samples import write_detector

from mlflow_nas.board import FakeBoard
from mlflow_nas.export import Quantization
from mlflow_nas.runtime import LiteRt, OnnxDetector, Placement
from mlflow_nas.trial import StudyContext, parse_limits, run_trial
from mlflow_nas.types import Device


class _Npu(LiteRt):
    """Compiles to the same small file whatever the network is; three quarters of it run on an NPU."""

    def identity(self) -> Mapping[str, str]:
        """Needs no converter."""
        return {"version": "1"}

    def compile(self, fp32: Path, path: Path, *, calibration: Any, choices: Quantization) -> None:
        """A file at the network's size."""
        assert calibration.shape[1] == 3
        assert choices.float_tail
        write_detector(path, size=OnnxDetector(fp32).img_size[0])

    def placement(self, artefact: Path) -> Placement:
        """Of a file that exists."""
        assert artefact.is_file()
        return Placement(operators={"npu": 3, "cpu": 1}, memory={"sram": 1000})


def _context(folder: Path, **changes: Any) -> StudyContext:
    device = Device(name="npu", transport="fake", directory=str(folder / "device"), runtime="litert")
    board = FakeBoard(folder / "device", device=device)
    return open_context(folder, board=board, runtime=_Npu(), epochs=1, **changes)


@pytest.mark.parametrize(("bound", "state"), [(0.5, "complete"), (0.9, "infeasible")])
def test_the_compiled_file_is_evaluated_timed_and_shipped(tmp_path: Path, bound: float, state: str) -> None:
    """Its format, its metrics and the runtime's name; the share of the NPU is a limit before any training."""
    context = _context(tmp_path, limits=parse_limits([f"npu_share>={bound}"]))
    found = run_trial(context, SMALL)
    assert (found.state, found.error) == (state, None)
    assert context.tags["nas.runtime"] == "litert"
    assert (found.metrics["npu_share"], found.metrics["sram_bytes"]) == (0.75, 1000)
    assert ("train" in found.seconds) is (state == "complete")
    if state == "complete":
        assert found.artefacts["int8"].name == "model.int8.tflite"
        assert found.metrics["model_size_bytes"] == found.artefacts["int8"].stat().st_size
        assert {"map", "latency_ms"} <= found.metrics.keys()
        assert found.facts["litert"]


def test_a_file_that_loses_too_much_is_not_repaired(tmp_path: Path) -> None:
    """The repairs are those of ONNX files, and the sentence says so."""
    found = run_trial(_context(tmp_path, max_int8_drop=-2.0), SMALL)
    assert found.state == "failed"
    assert "which is not repaired for the runtime litert" in str(found.error)


def test_a_float_file_is_not_compared_where_the_board_runs_none(tmp_path: Path) -> None:
    """The board of TFLite files may lack ONNX Runtime."""
    assert not _context(tmp_path).runs_onnx
    assert open_context(tmp_path).runs_onnx
