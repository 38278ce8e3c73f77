"""What a training changes and what it leaves, what it reports and what it raises."""

import signal
import sys
from typing import Any, NoReturn

import pytest
import torch
from small import EPOCHS, VAL, Small, equal, make_data, make_network, train
from torch import nn

from mlflow_nas.errors import CandidateError, ConfigError, MachineError
from mlflow_nas.tasks import evaluate_network
from mlflow_nas.train import Freeze, Recipe, TrainResult
from mlflow_nas.train.features import fit_in_memory


@pytest.fixture(scope="module")
def trained() -> tuple[Small, TrainResult, list[int]]:
    """A network after a training, its result, and the epochs that were reported."""
    network, epochs = make_network(), list[int]()
    result = train(network, on_epoch=lambda epoch, _: epochs.append(epoch))
    return network, result, epochs


def test_a_training_moves_the_weights_and_reports_each_epoch(
    trained: tuple[Small, TrainResult, list[int]],
) -> None:
    """The network ends in eval mode on the CPU."""
    network, result, epochs = trained
    assert epochs == [1, 2, 3]
    assert not network.training
    assert not torch.equal(network.head[1].weight, make_network().head[1].weight)
    assert result.metrics["epochs"] == len(result.history) == EPOCHS
    assert {"map_fp32", "map_50_fp32", "train_s", "train_loss"} <= result.metrics.keys()


def test_a_training_repeats(trained: tuple[Small, TrainResult, list[int]]) -> None:
    """The same seed gives the same weights and metrics."""
    again = make_network()
    assert train(again).history == trained[1].history
    assert equal(again, trained[0])


def test_a_loss_that_is_not_finite_is_the_candidates_fault() -> None:
    """The sentence names the learning rate."""
    network = make_network()
    with torch.no_grad():
        network.head[1].weight.fill_(float("nan"))
    with pytest.raises(CandidateError, match=r"training loss became nan in epoch 0: lower the learning rate"):
        train(network, epochs=1, recipe=Recipe(learning_rate=1.0))


class _Failing(nn.Module):
    """A network whose loss raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self._error = error

    def loss(self, _images: torch.Tensor, _targets: torch.Tensor) -> NoReturn:
        raise self._error


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (
            ZeroDivisionError("a\nfloat division"),
            CandidateError,
            "network failed: ZeroDivisionError: float div",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), MachineError, "a smaller batch size"),
        (SystemExit(3), CandidateError, "network failed: SystemExit: 3"),
    ],
    ids=["candidate", "machine", "exit"],
)
def test_what_a_network_raises_is_classified(
    error: BaseException, kind: type[Exception], sentence: str
) -> None:
    """The candidate's fault, or the machine's, in one sentence."""
    with pytest.raises(kind, match=sentence) as caught:
        train(_Failing(error), epochs=1, recipe=Recipe(ema_decay=0.0))
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)


class _Pruned(Exception):  # noqa: N818 - as Optuna's TrialPruned
    """What a caller may raise to end a training."""


@pytest.mark.parametrize("error", [_Pruned("enough"), KeyboardInterrupt(), SystemExit(7)])
def test_what_a_caller_raises_after_an_epoch_passes_as_it_is(error: BaseException) -> None:
    """Ctrl-C too, of which Lightning makes a SystemExit; the next one works as before."""
    handler, epochs = signal.getsignal(signal.SIGINT), list[int]()

    def stop(epoch: int, _metrics: object) -> None:
        epochs.append(epoch)
        raise error

    with pytest.raises(type(error)):
        train(make_network(), on_epoch=stop)
    assert epochs == [1]
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize(("threads", "expected"), [(2, 2), (None, 1)])
def test_a_training_takes_its_threads_and_gives_them_back(threads: int | None, expected: int) -> None:
    """By default the free cores, and no more than torch has: here OMP_NUM_THREADS=1 counts."""
    before, seen = torch.get_num_threads(), list[int]()
    assert before == 1
    train(
        make_network(),
        epochs=1,
        threads=threads,
        on_epoch=lambda *_: seen.append(torch.get_num_threads()),
    )
    assert seen == [expected]
    assert torch.get_num_threads() == before


def test_a_frozen_stem_stays_as_it_was() -> None:
    """Its weights and BatchNorm statistics are the first ones; the rest of the backbone moves."""
    network = make_network()
    train(network, recipe=Recipe(freeze="stem"), epochs=1)
    assert equal(network.backbone.conv1, make_network().backbone.conv1)
    assert not equal(network.backbone.stage2, make_network().backbone.stage2)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("limit_bytes", [2**30, 0])
def test_a_frozen_backbone_stays_as_it_was(limit_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head moves, with features in memory and without; the network has its backbone again."""
    caches: list[bool] = []

    def fits(*given: Any, **options: Any) -> bool:
        caches.append(fit_in_memory(*given, **options, limit_bytes=limit_bytes))
        return caches[-1]

    monkeypatch.setattr(sys.modules["mlflow_nas.train.fit"], "fit_in_memory", fits)
    network = make_network()
    result = train(network, recipe=Recipe(freeze="backbone"), epochs=2)
    assert equal(network.backbone, make_network().backbone)
    assert not equal(network.head, make_network().head)
    assert len(result.history) == 2
    assert caches == [limit_bytes > 0]
    assert result.trained_params == sum(part.numel() for part in network.head.parameters())
    assert network(torch.zeros(1, 3, 96, 96)).shape == (1, 5, 6, 6)


@pytest.mark.parametrize(("freeze", "part"), [("stem", "backbone.conv1"), ("backbone", "backbone")])
def test_what_is_not_there_cannot_be_frozen(freeze: Freeze, part: str) -> None:
    """The sentence names the missing part and the remedy."""
    network = nn.Sequential(nn.Conv2d(3, 5, 1))
    with pytest.raises(ConfigError, match=rf"Sequential has no .*{part} to freeze: set training.freeze=none"):
        train(network, recipe=Recipe(freeze=freeze))


class _Blind(nn.Module):
    """Finds nothing in the images that it counts."""

    seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, 3, H, W] -> zeros [b, 5, 6, 6]."""
        self.seen += len(images)
        return torch.zeros(len(images), 5, 6, 6)


def test_a_trained_network_is_measured_on_all_evaluation_augmentations() -> None:
    """An epoch is measured on the images as they are."""
    network, data = _Blind(), make_data(eval_augmentations=3)
    assert data.counts[1] == VAL
    assert evaluate_network(network, data) == {"map_fp32": 0.0, "map_50_fp32": 0.0}
    assert network.seen == 3 * VAL
