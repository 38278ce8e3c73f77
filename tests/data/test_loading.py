"""Images are resized once, when their batch is asked for."""

from collections.abc import Callable

import pytest
import torch

from mlflow_nas.data import BatchPlan, DetectionDataModule, load_dataset
from mlflow_nas.data import loading as loading_module
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


def test_beyond_the_limit_nothing_is_cached(resized: list[int]) -> None:
    """The images are the same."""
    cached, decoded = _module(10**9)._train_source, _module(0)._train_source
    plan = BatchPlan((0, 1), None)
    before = len(resized)
    for _ in range(2):
        assert torch.equal(decoded[plan].images, cached[plan].images)
    assert len(resized) - before == 2 + 2 * 2
