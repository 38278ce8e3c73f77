"""A fake study on generated scenes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fake_study import FakeContext, FakeStudy
from torch import nn

from mlflow_nas.data import DetectionDataset, load_dataset
from mlflow_nas.space import SearchSpace, fastestdet_head, narrow
from mlflow_nas.types import Architecture


def _tiny(architecture: Architecture, classes: int) -> Any:
    """A network that is built in no time; its size follows channels, groups and input."""
    channels, groups = int(architecture["channels"]), int(architecture["groups"])
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=8),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, channels, 1),
        nn.Conv2d(channels, channels, 3, groups=groups),
        nn.Conv2d(channels, classes, 1),
    )


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    """60 architectures with the names of the detector's head and tiny networks."""
    named = replace(fastestdet_head(), build=_tiny)
    return narrow(named, ("channels=24..40:8", "img_width=220..236:4", "kernel_size=3"))


@pytest.fixture(scope="session")
def scenes() -> dict[str, DetectionDataset]:
    """Both splits."""
    data = "synthetic:train=4,val=2,size=64"
    return {split: load_dataset(data, split, ("person",)) for split in ("train", "val")}


@pytest.fixture
def study_of(space: SearchSpace, scenes: dict[str, DetectionDataset]) -> Callable[..., FakeStudy]:
    """Makes an empty study; keywords are of its context."""

    def make(**known: Any) -> FakeStudy:
        return FakeStudy(FakeContext(**{"space": space, **scenes, **known}))

    return make
