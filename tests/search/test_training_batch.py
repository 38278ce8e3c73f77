"""The picture of a training batch in a study's run."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.search import log_training_batch, open_context
from mlflow_nas.trial import StepCache

SIDE = 320
BOXES = ((40, 90, 140, 290), (150, 60, 270, 220))
ORANGE = (0xE6, 0x9F, 0x00)
LABEL_PX = 30


class _Session:
    """A study of two generated scenes of the network's own size, one known box in each, not augmented."""

    def __init__(self, folder: Path) -> None:
        config = load_config(
            SearchConfig,
            {
                "data": f"synthetic:train=2,val=2,size={SIDE}",
                "board": "fake",
                "training.batch_size": 2,
                "training.backbone_weights": "",
            },
        )
        context = open_context(config, cache=StepCache(folder / "cache"))
        records = [
            replace(
                record,
                boxes=np.array([box], dtype=np.float32),
                labels=np.zeros(1, dtype=np.int64),
                ignore=np.zeros(1, dtype=np.bool_),
            )
            for record, box in zip(context.train.records, BOXES, strict=True)
        ]
        recipe = replace(context.recipe, augmentation="none")
        self.context = replace(context, train=context.train.part(records), recipe=recipe)
        self.values: dict[str, Any] = {}
        self.logged: list[Path] = []
        self.store = SimpleNamespace(
            value=self.values.get, keep=lambda key, value: self.values.update({key: value})
        )
        self.mirror = SimpleNamespace(
            log_artifact=lambda _run, path: self.logged.append(shutil.copy(path, folder / path.name))
        )


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The study."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    return _Session(tmp_path)


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


def test_boxes_are_drawn_where_they_lie_and_once(session: Any) -> None:
    """Their borders have the colour of boxes, the rest is the image; a continued study draws nothing."""
    for _ in range(2):
        log_training_batch(session)
    (file,) = session.logged
    assert file.name == "training_batch.png"
    panels = _panels(file)
    scenes = [sample.image.astype(np.float32) for sample in session.context.train]
    if _distance(panels[0], scenes[1]).mean() < _distance(panels[0], scenes[0]).mean():  # shuffled
        panels.reverse()
    for drawn, scene, box in zip(panels, scenes, BOXES, strict=True):
        for side in _sides(drawn, box):
            assert (_distance(side, ORANGE).min(axis=0) < 40).all()
        off = _distance(drawn, scene)[_elsewhere(box)]
        assert off.mean() < 8
        assert (off > 60).mean() < 0.002  # where resampling has blurred an edge of the scene
