"""Front, figures, columns and description of results."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from mlflow_nas.report import (
    draw_boxes,
    front_of,
    pareto_png,
    study_description,
    table_columns,
)
from mlflow_nas.types import Objective, TrialResult

PNG = b"\x89PNG"
OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))


def _trial(number: int, accuracy: float | None, latency: float, **known: object) -> TrialResult:
    metrics = {"params": 10.0 * number, "latency_ms": latency}
    metrics |= {} if accuracy is None else {"map": accuracy, "map/a.b": 2 * accuracy}
    values = {
        "number": number,
        "key": f"k{number}",
        "architecture": {"kernel_size": 3},
        "state": "infeasible" if accuracy is None else "complete",
        "metrics": metrics,
        "run_id": f"run{number}",
    }
    return TrialResult(**{**values, **known})  # type: ignore[arg-type]


FAILED = TrialResult(
    number=4,
    key="k4",
    architecture={"kernel_size": 5},
    state="failed",
    error="CandidateError: it can't\nbe exported",
)
TRIALS = [
    _trial(0, 0.4, 5.0, role="baseline"),
    _trial(1, 0.3, 4.0),
    _trial(2, 0.2, 4.5),
    _trial(3, None, 9.0),
    FAILED,
]


def _describe(results: list[TrialResult], objectives: tuple[Objective, ...] = OBJECTIVES) -> str:
    return study_description(
        results,
        objectives,
        experiment_id="7",
        charts_page="#/charts",
        answer=["Reference: the baseline k0.", "Ship k1: 1.25 times as fast."],
        settings={"board": "local"},
    )


def test_the_front_is_sorted_by_the_last_objective_and_holds_complete_results_only() -> None:
    """Trial 2 is dominated, trial 3 was never trained, trial 4 failed."""
    assert [result.number for result in front_of(TRIALS, OBJECTIVES)] == [1, 0]
    assert front_of(TRIALS[3:], OBJECTIVES) == []


@pytest.mark.parametrize(
    ("objectives", "front"),
    [
        ((OBJECTIVES[0],), [0]),
        ((OBJECTIVES[1],), [1]),
        ((*OBJECTIVES, Objective("params", "maximize")), [2, 1, 0]),
        ((Objective("map", "minimize"), Objective("params", "maximize")), [2]),
    ],
)
def test_the_front_follows_the_objectives(objectives: tuple[Objective, ...], front: list[int]) -> None:
    """One to three objectives of any direction; the names are the caller's."""
    assert [result.number for result in front_of(TRIALS, objectives)] == front


def test_the_columns_begin_with_the_objectives_and_have_no_dots() -> None:
    """MLflow's UI reads a dot as a path and shows an empty column."""
    columns = table_columns(TRIALS, OBJECTIVES)
    best = replace(TRIALS[1], role="reference", metrics={**TRIALS[1].metrics, "map": 0.99})
    assert table_columns([*TRIALS, best], OBJECTIVES)["front"] == [*columns["front"], False]
    assert list(columns)[:8] == [
        "trial",
        "key",
        "role",
        "state",
        "front",
        "map",
        "latency_ms",
        "arch_kernel_size",
    ]
    assert {len(values) for values in columns.values()} == {5}
    assert columns["front"] == [True, True, False, False, False]
    assert columns["map"] == [0.4, 0.3, 0.2, None, None]
    assert columns["map/a_b"][0] == 0.8
    assert columns["arch_kernel_size"] == [3, 3, 3, 3, 5]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_figure_is_a_png(tmp_path: Path, count: int) -> None:
    """Of one, two or three objectives."""
    objectives = (*OBJECTIVES, Objective("params", "minimize"))[:count]
    with Image.open(pareto_png(TRIALS, objectives, tmp_path / "p.png")) as image:
        assert image.format == "PNG"


def test_champion_finalists_and_the_given_detector_change_the_figure(tmp_path: Path) -> None:
    """Their intervals, the mark of the champion, and the ratio above the latency are drawn."""
    timed = [replace(one, metrics={**one.metrics, "latency_ratio": 0.5}) for one in TRIALS]
    ends = {"map_ci_low": 0.2, "map_ci_high": 0.4}
    best = replace(timed[1], role="finalist", metrics={**timed[1].metrics, **ends})
    figures = [
        pareto_png(TRIALS, OBJECTIVES, tmp_path / "a.png"),
        pareto_png(timed, OBJECTIVES, tmp_path / "b.png"),
        pareto_png(timed, OBJECTIVES, tmp_path / "c.png", finalists=[best]),
        pareto_png(timed, OBJECTIVES, tmp_path / "d.png", finalists=[best], champion="k1"),
        pareto_png(timed, OBJECTIVES, tmp_path / "e.png", given=replace(best, role="reference")),
    ]
    assert len({figure.read_bytes() for figure in figures}) == 5


def test_a_figure_without_any_point_is_written(tmp_path: Path) -> None:
    """A study whose trials all failed has a report, too."""
    assert pareto_png([FAILED], OBJECTIVES, tmp_path / "p.png").read_bytes().startswith(PNG)
    assert "\n\nTrials: 1 failed; 0 on the Pareto front." in _describe([FAILED])
    assert "\n\nTrials: none; 0 on the Pareto front." in _describe([])


def test_the_description_begins_with_the_result() -> None:
    """MLflow's UI folds it after a few lines: what to ship, then the best of each objective."""
    lines = _describe(TRIALS).splitlines()
    assert lines[:3] == ["Reference: the baseline k0.  ", "Ship k1: 1.25 times as fast.", ""]
    training_view = "?workflowType=machine_learning"
    assert lines[3] == (
        f"**Best map 0.4** (latency_ms 5; trial [0](#/experiments/7/runs/run0{training_view}), `k0`); "
        "baseline 0.4  "
    )
    assert lines[4].startswith(
        f"**Best latency_ms 4** (map 0.3; trial [1](#/experiments/7/runs/run1{training_view}), `k1`)"
    )
    assert lines[5] == "Trials: 3 complete, 1 infeasible, 1 failed; 2 on the Pareto front."


def test_the_description_lists_the_front_and_the_reasons_of_failures() -> None:
    """Each trial of the front with its link, each failure in one line; the settings follow."""
    text = _describe([*TRIALS, _trial(5, 0.5, 6.0, latency_unstable=True)])
    assert "| trial | architecture | map | latency_ms |" in text
    assert "| [1](#/experiments/7/runs/run1?workflowType=machine_learning) | `k1` | 0.3 | 4 |" in text
    assert "`k5` (latency unstable)" in text
    assert "- trial 4, `k4` (failed): CandidateError: it can't be exported" in text
    assert "Settings: board `local`." in text
    many = _describe([*TRIALS, *[FAILED] * 25])
    assert many.count("- trial 4") == 20
    assert "- and 6 more" in many


def test_the_description_links_the_comparison_of_the_complete_trials() -> None:
    """MLflow's page takes the runs as JSON in its address."""
    address = unquote(_describe(TRIALS).partition("[Compare the trials](")[2].partition("), ")[0])
    training_view = "?workflowType=machine_learning"
    assert address == f'#/compare-runs{training_view}&runs=["run0","run1","run2"]&experiments=["7"]'


def test_detections_are_drawn(tmp_path: Path) -> None:
    """Also an image without any, and more images than fit in a row."""
    image = np.zeros((40, 60, 3), np.uint8)
    box = np.array([[5, 5, 20, 30]], np.float32)
    images = [(image, box, ["person 0.90"]), *[(image, box[:0], list[str]())] * 4]
    assert draw_boxes(images, tmp_path / "d.png").read_bytes().startswith(PNG)
