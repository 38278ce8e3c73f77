"""Features of a frozen backbone are computed once for each copy of an image."""

import torch
from small import BATCH, SIZE, TRAIN, VAL, Small, make_data, make_network, train

from mlflow_nas.train import Recipe
from mlflow_nas.train.features import cached_features, fit_in_memory


def _count_images(network: Small) -> list[int]:
    """Grows by the number of images of each pass through the backbone."""
    seen: list[int] = []
    network.backbone.register_forward_hook(lambda _module, given, _made: seen.append(len(given[0])))
    return seen


def test_cached_features_are_those_of_the_images() -> None:
    """The head gives on cached features what the network gives on images, to half precision."""
    network, data = make_network().eval(), make_data()
    images = next(data.batches("val")).images
    with torch.inference_mode():
        expected = network(images)
    with cached_features(network, data, augmented_copies=1, seed=0) as features, torch.inference_mode():
        batch = features.on_after_batch_transfer(next(iter(features.val_dataloader())), 0)
        assert torch.allclose(network(batch.images), expected, atol=1e-2)


def test_an_epoch_is_measured_on_the_images_as_they_are() -> None:
    """From images and from cached features."""
    data = make_data(eval_augmentations=3)
    assert data.counts == (TRAIN, VAL)
    with cached_features(make_network(), data, augmented_copies=1, seed=0) as features:
        for loader in (data.val_dataloader(), features.val_dataloader()):
            assert sum(len(batch.images) for batch in loader) == VAL


def test_the_first_batch_waits_for_its_own_features_only() -> None:
    """Each copy of each image passes the backbone once, when its batch is read."""
    network, data = make_network(), make_data()
    seen = _count_images(network)
    with cached_features(network, data, augmented_copies=1, seed=0) as features:
        loader = features.train_dataloader()
        seen.clear()  # of the pass that finds the shapes
        batches = iter(loader)
        next(batches)
        assert seen == [BATCH]
        for epoch in range(4):
            loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]  # it is the shuffled one
            assert sum(len(batch.images) for batch in loader) == TRAIN
        assert sum(seen) == BATCH + 2 * TRAIN


def test_a_training_computes_each_copy_once() -> None:
    """Lightning never continues a loader after its last batch: the copy is cached by then."""
    network = make_network()
    seen = _count_images(network)
    train(network, epochs=4, recipe=Recipe(freeze="backbone", augmented_copies=1))
    statistics = TRAIN  # of a training this short they are taken anew
    assert sum(count for count in seen if count > 1) == 2 * TRAIN + VAL + statistics  # single images: shapes


def test_features_are_cached_up_to_a_limit() -> None:
    """Those of 8 images, twice, and of 2: 4 and 8 channels at 1/8 and 1/16 of 64 pixels, 2 bytes a number."""
    needed_bytes = (2 * TRAIN + VAL) * (4 * (SIZE // 8) ** 2 + 8 * (SIZE // 16) ** 2) * 2
    network, data = make_network(), make_data()
    assert fit_in_memory(network, data, augmented_copies=1, limit_bytes=needed_bytes)
    assert not fit_in_memory(network, data, augmented_copies=1, limit_bytes=needed_bytes - 1)


def test_an_epoch_on_cached_features_takes_as_many_as_there_are_images() -> None:
    """Over as many epochs as there are copies each copy is taken once."""
    network, data = make_network(), make_data()
    with cached_features(network, data, augmented_copies=1, seed=0) as features:
        loader = features.train_dataloader()
        taken: list[float] = []
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]  # it is the shuffled one
            images = torch.cat([batch.images for batch in loader])
            assert len(images) == TRAIN
            taken += images.double().sum(dim=(1, 2, 3)).tolist()
        assert len(set(taken)) == 2 * TRAIN
