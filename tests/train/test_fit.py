import pytest
import torch

from mlflow_nas.data import DetectionDataModule, load_dataset
from mlflow_nas.errors import CandidateError
from mlflow_nas.space import FastestDet, build_detector
from mlflow_nas.train import Recipe, fit

SMALL = {"kernel_size": 3, "groups": 1, "channels": 24, "img_width": 220}


def _data() -> DetectionDataModule:
    uri = "synthetic:train=16,val=4,size=160"
    train, val = (load_dataset(uri, split, ("person",)) for split in ("train", "val"))
    return DetectionDataModule(train, val, img_size=(96, 96), batch_size=8, seed=0)


def _network() -> FastestDet:
    return build_detector(SMALL, num_classes=1, seed=0)


def test_a_training_repeats() -> None:
    """The same seed gives the same weights; the weights move; the network ends in eval mode on the CPU."""
    first, second = _network(), _network()
    epochs: list[int] = []
    fitted = fit(first, _data(), epochs=3, seed=1, accelerator="cpu", on_epoch=lambda n, _: epochs.append(n))
    fit(second, _data(), epochs=3, seed=1, accelerator="cpu")
    assert epochs == [1, 2, 3]
    assert not first.training
    assert not torch.equal(first.head.box[3].weight, _network().head.box[3].weight)
    assert fitted.metrics["epochs"] == 3
    assert {"map_fp32", "map_50_fp32", "train_s"} <= fitted.metrics.keys()
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_a_loss_that_is_not_finite_is_the_candidates_fault() -> None:
    """The sentence names the learning rate."""
    network = _network()
    with torch.no_grad():
        network.head.box[3].weight.fill_(float("nan"))
    with pytest.raises(CandidateError, match=r"training loss became nan in epoch 0: lower the learning rate"):
        fit(network, _data(), epochs=1, seed=0, recipe=Recipe(learning_rate=1.0), accelerator="cpu")
