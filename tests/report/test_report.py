from functools import partial
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from mlflow_nas.report import (
    draw_boxes,
    front_of,
    pareto_html,
    pareto_png,
    speed_warning,
    study_description,
    table_columns,
)
from mlflow_nas.types import Evaluation

PNG = b"\x89PNG"


def _evaluation(number: int, accuracy: float | None, latency: float) -> Evaluation:
    metrics = {"latency_ms": latency} | (
        {} if accuracy is None else {"map": accuracy, "map_50": 2 * accuracy}
    )
    return Evaluation(
        number=number,
        key=f"k{number}",
        architecture={"kernel_size": 3},
        state="infeasible" if accuracy is None else "complete",
        metrics=metrics,
        run_id=f"run{number}",
    )


TRIALS = [
    _evaluation(0, 0.4, 5.0),
    _evaluation(1, 0.3, 4.0),
    _evaluation(2, 0.2, 4.5),
    _evaluation(3, None, 9.0),
]


def test_the_front_is_sorted_by_latency_and_leaves_out_what_is_not_complete() -> None:
    """Trial 2 is dominated, trial 3 was never trained."""
    assert [evaluation.number for evaluation in front_of(TRIALS)] == [1, 0]
    assert front_of(TRIALS[3:]) == []


def test_the_table_has_the_same_columns_for_every_trial() -> None:
    """MLflow's UI shows it as a table."""
    columns = table_columns(TRIALS)
    assert {len(values) for values in columns.values()} == {4}
    assert columns["front"] == [True, True, False, False]
    assert columns["map"][3] is None


def test_the_figures_are_a_png_and_a_page_that_loads_nothing(tmp_path: Path) -> None:
    """The sandboxed frame of MLflow's UI allows no external script."""
    assert pareto_png(TRIALS, tmp_path / "p.png").read_bytes().startswith(PNG)
    page = pareto_html(TRIALS, tmp_path / "p.html").read_text(encoding="utf-8")
    assert 'script src="http' not in page
    assert "trial 0: k0" in page
    assert "trial 3: k3" not in page


def test_the_description_links_each_run_of_the_front() -> None:
    """Links are relative to the UI."""
    text = study_description(TRIALS, experiment_id="7", settings={"board": "local"})
    assert "[1](#/experiments/7/runs/run1)" in text
    assert "board `local`" in text


def test_the_description_links_the_comparison_of_the_complete_trials() -> None:
    """MLflow's page takes the runs as JSON in its address."""
    text = study_description(TRIALS, experiment_id="7", settings={})
    address = unquote(text.partition("[Compare the trials](")[2].rstrip(")"))
    assert address == '#/compare-runs?runs=["run0","run1","run2"]&experiments=["7"]'


def test_a_board_whose_speed_changed_is_told_of() -> None:
    """By the baseline's time in each trial; trials that never met the board say nothing."""

    def timed(*baseline_ms: float) -> list[Evaluation]:
        trials = [_evaluation(number, 0.4, 5.0) for number in range(len(baseline_ms) + 1)]
        for trial, value in zip(trials, baseline_ms, strict=False):
            trial.metrics["baseline_latency_ms"] = value  # type: ignore[index]
        return trials

    assert speed_warning(timed()) == speed_warning(timed(4.0, 4.7, 4.2)) == ""
    assert "took 4.00 to 6.90 ms. Trials compare by latency_ratio" in speed_warning(timed(4.1, 6.9, 4.0))
    described = partial(study_description, experiment_id="7", settings={})
    assert "**The board's speed changed" in described(timed(4.1, 6.9))
    assert "speed changed" not in described(timed(4.1, 4.2))


def test_detections_are_drawn(tmp_path: Path) -> None:
    """Also an image without any, and more images than fit in a row."""
    image = np.zeros((40, 60, 3), np.uint8)
    box = np.array([[5, 5, 20, 30]], np.float32)
    pictures = [(image, box, ["person 0.90"]), *[(image, box[:0], list[str]())] * 4]
    assert draw_boxes(pictures, tmp_path / "d.png").read_bytes().startswith(PNG)
