"""Contexts of trials that take seconds, and a listener that notes what it hears."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tiny_space import tiny_space

from mlflow_nas.board import FakeBoard
from mlflow_nas.data import DetectionDataset, load_dataset
from mlflow_nas.train import Recipe
from mlflow_nas.trial import StepCache, StudyContext, parse_objectives
from mlflow_nas.types import TrialResult

__all__ = ["SMALL", "Finished", "Recorder", "entries", "open_context"]

SMALL = {"channels": 8, "kernel_size": 1, "img_width": 64}


@cache
def _scenes(split: Literal["train", "val"]) -> DetectionDataset:
    return load_dataset("synthetic:train=8,val=2,size=64", split)


def open_context(folder: Path, **changes: Any) -> StudyContext:
    """A study of tiny networks on eight generated scenes, whose cache and device lie in the folder."""
    plain = {
        "space": tiny_space(),
        "train": _scenes("train"),
        "val": _scenes("val"),
        "board": FakeBoard(folder / "device"),
        "cache": StepCache(folder / "cache"),
        "epochs": 2,
        "batch_size": 4,
        "seed": 0,
        "recipe": Recipe(),
        "objectives": parse_objectives(("map", "latency_ms")),
        "max_int8_drop": 1.0,
        "threads": 1,
    }
    return StudyContext(**{**plain, **changes})


def entries(folder: Path) -> dict[str, str]:
    """Finished entries of the cache in a folder, as STEP/FINGERPRINT; the text has how long each took."""
    cached = folder / "cache"
    return {str(one.parent.relative_to(cached)): one.read_text() for one in cached.glob("*/*/entry.json")}


@dataclass(frozen=True)
class Finished:
    """A finished trial: its folder, context, result, and what its listener heard."""

    folder: Path
    context: StudyContext
    result: TrialResult
    heard: "Recorder"


@dataclass
class Recorder:
    """A listener.

    Attributes:
        on_epoch: called with the number of each epoch; what it raises passes.
        steps: names, as they begin.
        epochs: numbers, as they end.
    """

    on_epoch: Callable[[int], object] = lambda _number: None
    steps: list[str] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)

    def step(self, name: str) -> None:
        """Note it."""
        self.steps.append(name)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002 - of the protocol
        """Note it."""
        self.epochs.append(number)
        self.on_epoch(number)
