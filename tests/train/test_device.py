"""Images and features lie where the training is; `meta` is a device without memory, which any machine has."""

from typing import Any

import pytest
import torch
from small import make_data, make_network, train

from mlflow_nas.tasks import evaluate_network
from mlflow_nas.train import Freeze, Recipe, Teacher, TrainerSettings
from mlflow_nas.train.features import cached_features

META = torch.device("meta")


@pytest.mark.parametrize("already", [False, True])
def test_images_are_cached_on_the_device_as_bytes(already: bool) -> None:
    """Those that the CPU has cached move there; the few numbers of their boxes come with each batch."""
    data = make_data()
    if already:
        list(data.batches("train"))
    data.cache_on(META)
    for raw in (*data.train_dataloader(), *data.val_dataloader()):
        assert raw.images.device == META
        assert raw.images.dtype == torch.uint8
        assert raw.targets.device == raw.sizes.device == torch.device("cpu")


def test_what_is_not_cached_comes_on_the_cpu() -> None:
    """Workers decode it anew, in processes that can't share a device's memory."""
    data = make_data(memory_limit_bytes=0)
    data.cache_on(META)
    assert next(iter(data.train_dataloader())).images.device == torch.device("cpu")


@pytest.mark.parametrize("distilled", [False, True])
def test_features_are_computed_and_cached_on_the_device(distilled: bool) -> None:
    """Augmentation and the teacher work there too; nothing mixes devices."""
    network, data = make_network(), make_data()
    data.cache_on(META)
    teacher = Teacher(make_network(seed=1)) if distilled else None
    with cached_features(network, data, augmented_copies=1, seed=0, teacher=teacher, device=META) as features:
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
        network, data = make_network(), make_data()
        options: dict[str, Any] = {"recipe": Recipe(freeze=freeze), "teacher": Teacher(make_network(seed=1))}
        result = train(network, data, epochs=1, trainer=TrainerSettings(accelerator=accelerator), **options)
        losses.append(result.history[0]["train_loss"])
        assert next(network.parameters()).device == torch.device("cpu")
        assert set(evaluate_network(network, data)) == {"map_fp32", "map_50_fp32"}
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
