"""The picture of a training batch in a study's run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mlflow_nas import api
from mlflow_nas.api.bench import make_bench
from mlflow_nas.config import SearchConfig
from mlflow_nas.errors import CandidateError
from mlflow_nas.search import StudyBook, Workbench, log_data
from mlflow_nas.search import data_log as data_log_module
from mlflow_nas.search import study as study_module
from mlflow_nas.search.data_log import TRAINING_BATCH
from mlflow_nas.types import Evaluation

SIDE = 320
BOXES = ((40, 90, 140, 290), (150, 60, 270, 220))
ORANGE = (0xE6, 0x9F, 0x00)
LABEL_PX = 30

pytestmark = pytest.mark.usefixtures("tracking_uri")


def _two_scenes() -> Workbench:
    """A bench of two generated scenes of the network's own size, one known box in each, not augmented."""
    config = SearchConfig(data=f"synthetic:train=2,val=2,size={SIDE}", board="fake", batch_size=2)
    bench = make_bench(config, folder=Path(), max_latency_ms=None)
    records = [
        replace(
            record,
            boxes=np.array([box], dtype=np.float32),
            labels=np.zeros(1, dtype=np.int64),
            ignore=np.zeros(1, dtype=np.bool_),
        )
        for record, box in zip(bench.train.records, BOXES, strict=True)
    ]
    recipe = replace(bench.recipe, augmentation="none")
    return replace(bench, train=bench.train.part(records), recipe=recipe)


def _panels(file: Path) -> list[NDArray[np.float32]]:
    """The two pictures of the figure without its white margins, at the scenes' size [h, w, 3]."""
    with Image.open(file) as figure:
        halves = np.split(np.asarray(figure.convert("RGB")), 2, axis=1)
    panels = []
    for half in halves:
        rows, columns = np.nonzero((half < 255).any(axis=2))
        cut = half[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        panels.append(np.asarray(Image.fromarray(cut).resize((SIDE, SIDE)), dtype=np.float32))
    return panels


def _sides(drawn: NDArray[np.float32], box: tuple[int, int, int, int]) -> list[NDArray[np.float32]]:
    """Three pixels across each side of a box, all along it but for its corners and its label [3, n, 3]."""
    left, top, right, bottom = box
    across, along = slice(top + LABEL_PX, bottom - 3), slice(left + 3, right - 3)
    upright = [drawn[across, x - 1 : x + 2].swapaxes(0, 1) for x in (left, right)]
    return [*upright, drawn[bottom - 1 : bottom + 2, along], drawn[top - 1 : top + 2, left + 60 : right - 3]]


def _elsewhere(box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """All pixels inside and outside of a box, without its border and its label [h, w]."""
    left, top, right, bottom = box
    places = np.ones((SIDE, SIDE), dtype=np.bool_)
    places[top - LABEL_PX : bottom + 4, left - 4 : right + 4] = False
    places[top + LABEL_PX : bottom - 4, left + 4 : right - 4] = True
    return places


def _distance(pixels: NDArray[np.float32], colour: ArrayLike) -> NDArray[np.float32]:
    """The largest difference of a channel [...]."""
    return np.abs(pixels - np.asarray(colour, dtype=np.float32)).max(axis=-1)


def test_boxes_are_drawn_where_they_lie(tmp_path: Path) -> None:
    """Their borders have the colour of boxes, the rest is the photograph."""
    bench, client = _two_scenes(), mlflow.MlflowClient()
    run_id = client.create_run("0").info.run_id
    log_data(bench, StudyBook(client=client, experiment_id="0", parent_id=run_id, study="demo", tags={}))
    panels = _panels(Path(client.download_artifacts(run_id, TRAINING_BATCH, str(tmp_path))))
    scenes = [sample.image.astype(np.float32) for sample in bench.train]
    if _distance(panels[0], scenes[1]).mean() < _distance(panels[0], scenes[0]).mean():  # shuffled
        panels.reverse()
    for drawn, scene, box in zip(panels, scenes, BOXES, strict=True):
        for side in _sides(drawn, box):
            assert (_distance(side, ORANGE).min(axis=0) < 40).all()
        off = _distance(drawn, scene)[_elsewhere(box)]
        assert off.mean() < 8
        assert (off > 60).mean() < 0.002  # where resampling has blurred an edge of the scene


def test_the_picture_is_drawn_once_per_study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A search that goes on leaves it as it is; another study has its own."""
    drawn: list[Path] = []
    real = data_log_module.draw_boxes

    def draw(pictures: Any, path: Path) -> Path:
        drawn.append(path)
        return real(pictures, path)

    def fail(*_: object, **__: object) -> Evaluation:
        raise CandidateError("not today")

    monkeypatch.setattr(data_log_module, "draw_boxes", draw)
    monkeypatch.setattr(study_module, "evaluate_candidate", fail)
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    options: dict[str, Any] = {
        "data": "synthetic:train=4,val=2,size=64",
        "board": "fake",
        "device": "none",
        "epochs": 1,
    }
    counts = []
    for study, trials in (("one", 1), ("one", 2), ("two", 1)):
        result: dict[str, Any] = api.search(**options, seed_epochs=0, study=study, trials=trials)
        assert len(result["trials"]) == trials
        counts.append(len(drawn))
    assert counts == [1, 1, 2]
