"""Intervals of finalists: of their accuracy, and of the difference to what they are compared with."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlflow_nas.search.intervals import with_intervals
from mlflow_nas.trial import StepCache
from mlflow_nas.types import Role, TrialResult


def _bootstrap(record: Path, *, copies: int) -> NDArray[np.float64]:
    """Draws that are the record's number, and the images' common luck."""
    assert copies == 1
    return float(record.read_text()) + np.random.default_rng(0).normal(0, 0.1, 1000)


@pytest.fixture
def context(tmp_path: Path) -> Any:
    """Of a task whose records are numbers."""
    task = SimpleNamespace(name="numbers", metrics=("map",), bootstrap=_bootstrap)
    val = SimpleNamespace(eval_augmentations=1)
    return SimpleNamespace(task=task, val=val, cache=StepCache(tmp_path / "cache"))


def _result(folder: Path, key: str, value: float, role: Role = "finalist") -> TrialResult:
    record = folder / key
    record.write_text(str(value))
    return TrialResult(
        key=key,
        architecture={},
        state="complete",
        role=role,
        metrics={"map": value},
        artefacts={"detections": record},
    )


def test_a_trained_baseline_is_compared_with_like_the_detector_as_given(tmp_path: Path, context: Any) -> None:
    """The images are the same, so that only the difference itself is left; it is none to itself."""
    baseline, small = _result(tmp_path, "baseline", 0.5), _result(tmp_path, "small", 0.4)
    own, other = with_intervals(context, [baseline, small], baseline)
    assert "map_difference" not in own.metrics
    assert own.metrics["map_ci_high"] - own.metrics["map_ci_low"] > 0.3
    assert [round(other.metrics[f"map_difference{end}"], 6) for end in ("", "_ci_low", "_ci_high")] == [
        -0.1
    ] * 3


@pytest.mark.parametrize(("role", "times"), [("reference", 1.0), ("finalist", 2.0**0.5)])
def test_seeds_move_what_was_trained(tmp_path: Path, context: Any, role: Role, times: float) -> None:
    """The detector as given is moved by none: the difference to a trained baseline varies by both."""
    reference = _result(tmp_path, "reference", 0.5, role)
    (small,) = with_intervals(context, [_result(tmp_path, "small", 0.4)], reference, seed_sd=0.02)
    width = small.metrics["map_difference_ci_high"] - small.metrics["map_difference_ci_low"]
    assert width == pytest.approx(2 * 1.96 * 0.02 * times, rel=0.1)
    assert small.metrics["map_seed_sd"] == 0.02


def test_without_records_there_is_no_interval(tmp_path: Path, context: Any) -> None:
    """A result of another machine stays as it is."""
    result = TrialResult(key="k", architecture={}, state="complete", metrics={"map": 0.4})
    assert with_intervals(context, [result], _result(tmp_path, "r", 0.5)) == [result]
