"""Images and features lie where the training is; `meta` is a device without memory, which any machine has."""

from typing import Any

import pytest
import torch

from mlflow_nas.data import DetectionDataModule, load_dataset
from mlflow_nas.space import FastestDet, build_detector
from mlflow_nas.train import Freeze, Recipe, Teacher, evaluate_network, fit
from mlflow_nas.train.features import cached_features

SMALL = {"kernel_size": 3, "groups": 1, "channels": 24, "img_width": 220}
META = torch.device("meta")


def _data(memory_limit_bytes: int = 2**30) -> DetectionDataModule:
    sets = [
        load_dataset("synthetic:train=16,val=4,size=160", split, ("person",)) for split in ("train", "val")
    ]
    return DetectionDataModule(
        *sets, img_size=(96, 96), batch_size=8, seed=0, memory_limit_bytes=memory_limit_bytes
    )


def _network(channels: int = 24) -> FastestDet:
    return build_detector({**SMALL, "channels": channels}, num_classes=1, seed=0)


@pytest.mark.parametrize("already", [False, True])
def test_images_are_kept_on_the_device_as_bytes(already: bool) -> None:
    """Those that the CPU kept before move there; the few numbers of their boxes come with each batch."""
    data = _data()
    if already:
        list(data.batches("train"))
    data.keep_on(META)
    for raw in (*data.train_dataloader(), *data.val_dataloader()):
        assert raw.images.device == META
        assert raw.images.dtype == torch.uint8
        assert raw.targets.device == raw.sizes.device == torch.device("cpu")


def test_what_is_not_kept_comes_on_the_cpu() -> None:
    """Workers decode it anew, in processes that can't share a device's memory."""
    data = _data(memory_limit_bytes=0)
    data.keep_on(META)
    assert data._train_source[next(iter(data._shuffled()))].images.device == torch.device("cpu")


@pytest.mark.parametrize("taught", [False, True])
def test_features_are_computed_and_kept_on_the_device(taught: bool) -> None:
    """Augmentation and the teacher work there too; nothing mixes devices."""
    network, data = _network(), _data()
    data.keep_on(META)
    teacher = Teacher(_network(channels=32)) if taught else None
    with cached_features(network, data, views=1, seed=0, teacher=teacher, device=META) as features:
        for epoch in range(3):  # plain, augmented, both mixed
            loader = features.train_dataloader()
            loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]  # it is the shuffled one
            for raw in loader:
                assert raw.images.device == META
                assert raw.targets.device == torch.device("cpu")
        assert all(raw.images.device == META for raw in features.val_dataloader())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_a_gpu_trains_as_the_cpu_does(freeze: Freeze) -> None:
    """The first losses agree to the rounding of resampled bytes; the network ends on the CPU."""
    losses: list[float] = []
    for accelerator in ("cpu", "gpu"):
        network, data = _network(), _data()
        options: dict[str, Any] = {"recipe": Recipe(freeze=freeze), "teacher": Teacher(_network(channels=32))}
        fitted = fit(network, data, epochs=1, seed=1, accelerator=accelerator, **options)
        losses.append(fitted.history[0]["train_loss"])
        assert next(network.parameters()).device == torch.device("cpu")
        assert set(evaluate_network(network, data)) == {"map_fp32", "map_50_fp32"}
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
