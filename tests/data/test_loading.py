"""Images are resized once, when their batch is asked for."""

import copy
import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from mlflow_nas.data import BatchPlan, DetectionDataModule, load_dataset
from mlflow_nas.data import loading as loading_module
from mlflow_nas.data.image_cache import open_mapped_cache
from mlflow_nas.data.sample import ByteImage, ImageSize


@pytest.fixture
def resized(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry per image that was resized since."""
    seen: list[int] = []
    real: Callable[[ByteImage, ImageSize], torch.Tensor] = loading_module.resize_to_bytes

    def count(image: ByteImage, img_size: ImageSize) -> torch.Tensor:
        seen.append(len(seen))
        return real(image, img_size)

    monkeypatch.setattr(loading_module, "resize_to_bytes", count)
    return seen


def _module(memory_limit_bytes: int) -> DetectionDataModule:
    sets = [load_dataset("synthetic:train=8,val=4,size=64", split) for split in ("train", "val")]
    return DetectionDataModule(
        *sets, img_size=(64, 64), batch_size=4, seed=0, memory_limit_bytes=memory_limit_bytes
    )


def test_a_trainings_first_step_waits_for_one_batch(resized: list[int]) -> None:
    """So a trial starts at once, whatever the data set's size; no image is resized twice."""
    data = _module(10**9)
    batches = data.batches("train")
    next(batches)
    assert len(resized) == 4
    next(batches)
    for _ in range(2):
        assert len(list(data.batches("train", epoch=1))) == 2
        assert len(list(data.batches("val"))) == 1
    assert len(resized) == 12


def test_beyond_the_limit_images_are_mapped_from_a_file(resized: list[int]) -> None:
    """They are the same, and resized once as well."""
    cached, mapped = _module(10**9)._train_source, _module(0)._train_source
    plan = BatchPlan((0, 1), None)
    before = len(resized)
    for _ in range(2):
        assert torch.equal(mapped[plan].images, cached[plan].images)
    assert len(resized) - before == 2 + 2


def test_workers_share_a_mapped_cache(resized: list[int]) -> None:
    """What a worker has resized is there for this process, which resizes nothing."""
    data = _module(0)
    first = list(data.batches("val"))
    (batch,) = data.batches("val")
    source = data._val_source
    assert torch.equal(source[BatchPlan((0, 1, 2, 3), None)].images.float() / 255, first[0].images)
    assert torch.equal(batch.images, first[0].images)
    assert resized == []


def test_without_space_on_disk_images_are_decoded_again(
    resized: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that does not fit would take the disk from others; a copied source has none."""
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=2 * 1024**3, f_frsize=1))
    assert open_mapped_cache(1, (64, 64)) is None
    source = _module(0)._train_source
    other = copy.copy(_module(10**9)._train_source)
    for _ in range(2):
        assert torch.equal(source[BatchPlan((0,), None)].images, other[BatchPlan((0,), None)].images)
    assert len(resized) == 4
