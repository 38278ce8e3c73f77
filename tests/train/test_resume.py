"""An interrupted training continues to the same bits; a checkpoint that can't be used is a warning."""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from small import EPOCHS, Small, equal, make_data, make_network, train

from mlflow_nas.data import DetectionDataModule
from mlflow_nas.errors import MachineError
from mlflow_nas.train import Recipe, TrainingInterrupt, TrainResult, fastestdet_recipe
from mlflow_nas.train.resume import read_checkpoints

MIXED = Recipe(freeze="backbone", augmented_copies=1)


class _Killed(BaseException):
    """Ends a training from inside, as a signal would."""


@cache
def _uninterrupted(recipe: Recipe) -> tuple[Small, TrainResult]:
    network = make_network(dropout=0.2)
    return network, train(network, recipe=recipe)


def _interrupt(saved: int, folder: Path, recipe: Recipe, data: DetectionDataModule | None = None) -> None:
    """Train until that number of epochs is saved."""

    def kill(epoch: int, _metrics: object) -> None:
        if epoch > saved:
            raise _Killed

    with pytest.raises(_Killed):
        train(make_network(dropout=0.2), data, recipe=recipe, checkpoint_dir=folder, on_epoch=kill)


def _continue(folder: Path, recipe: Recipe, data: DetectionDataModule | None = None, **options: Any) -> int:
    """Train to the end, compare with the uninterrupted training, and count the steps that it took."""
    network, steps, reported = make_network(dropout=0.2), list[bool](), list[int]()
    network.head.register_forward_hook(lambda module, *_: steps.append(module.training))
    result = train(
        network,
        data,
        recipe=recipe,
        checkpoint_dir=folder,
        on_epoch=lambda epoch, _: reported.append(epoch),
        **options,
    )
    whole, expected = _uninterrupted(recipe)
    assert reported == [1, 2, 3]
    assert result.history == expected.history
    assert result.trained_params == expected.trained_params
    assert equal(network, whole)
    return sum(steps)


@pytest.mark.parametrize(
    ("saved", "recipe"),
    [
        (1, Recipe()),
        (2, fastestdet_recipe()),
        (2, Recipe(freeze="backbone")),  # in an epoch that computes the features of a copy of its own
        (1, MIXED),  # before the last such epoch
        (2, MIXED),  # in one that mixes the copies of those before
    ],
    ids=["averaged", "fastestdet", "frozen", "last copy", "mixed copies"],
)
def test_an_interrupted_training_continues_to_the_same_bits(
    tmp_path: Path, saved: int, recipe: Recipe
) -> None:
    """Weights, BatchNorm statistics and metrics are the uninterrupted ones; only missing steps are taken."""
    _interrupt(saved, tmp_path, recipe)
    assert [path.name for path in tmp_path.iterdir()] == [f"epoch={saved - 1}.ckpt"]
    assert _continue(tmp_path, recipe) == 2 * (EPOCHS - saved)


@pytest.mark.parametrize("epoch", [1, EPOCHS])
def test_an_interrupt_comes_after_the_checkpoint_of_its_epoch(tmp_path: Path, epoch: int) -> None:
    """The training continues after that epoch, not with it; what raised it is not classified as an error."""

    def pause(number: int, _metrics: object) -> None:
        if number == epoch:
            raise TrainingInterrupt

    with pytest.raises(TrainingInterrupt):
        train(make_network(dropout=0.2), checkpoint_dir=tmp_path, on_epoch=pause)
    assert [path.name for path in tmp_path.iterdir()] == [f"epoch={epoch - 1}.ckpt"]
    assert _continue(tmp_path, Recipe()) == 2 * (EPOCHS - epoch)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    """Lightning's last checkpoint holds the averaged weights."""
    train(make_network(dropout=0.2), checkpoint_dir=tmp_path)
    assert _continue(tmp_path, Recipe()) == 0


def test_a_training_with_workers_continues_to_the_same_bits(tmp_path: Path) -> None:
    """Workers read ahead: the first batches of a resumed training are those of its epoch all the same."""
    _interrupt(1, tmp_path, Recipe(), make_data(memory_limit_bytes=0))
    _continue(tmp_path, Recipe(), make_data(memory_limit_bytes=0))


def test_a_training_continues_on_the_threads_that_it_had(tmp_path: Path) -> None:
    """Sums depend on them; an explicit number counts for a new training only."""
    threads: list[int] = []
    _interrupt(2, tmp_path, Recipe())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch, "set_num_threads", threads.append)
        train(make_network(dropout=0.2), checkpoint_dir=tmp_path, threads=None)
    assert threads[0] == 1


def test_a_full_disk_is_the_machines_fault(full_disk: Path) -> None:
    """The sentence names the remedy."""
    (full_disk / "other").write_bytes(bytes(240_000))
    with pytest.raises(MachineError, match=r"No space left on device.*Free some space"):
        train(make_network(), epochs=1, checkpoint_dir=full_disk)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a checkpoint after the second epoch."""
    folder = tmp_path_factory.mktemp("checkpoint")
    _interrupt(2, folder, Recipe())
    return (folder / "epoch=1.ckpt").read_bytes()


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.pop(name)


def _all_callbacks(content: dict[str, Any]) -> None:
    content["callbacks"] = {name: {} for name in content["callbacks"]}


def _other_shapes(content: dict[str, Any]) -> None:
    content["state_dict"] = {name: torch.zeros(1) for name in content["state_dict"]}


def _other_moments(content: dict[str, Any]) -> None:
    for state in content["optimizer_states"][0]["state"].values():
        state["exp_avg"] = torch.zeros(3)


def _more_epochs(content: dict[str, Any]) -> None:
    content["callbacks"]["Progress"]["epochs"] *= 3


def _later_loop(content: dict[str, Any]) -> None:
    for counts in content["loops"]["fit_loop"]["epoch_progress"].values():
        counts.update(dict.fromkeys(counts, 90))
    content["epoch"] = 90


@pytest.mark.parametrize(
    "damage",
    [
        _without("state_dict"),
        _without("callbacks"),
        _without("loops"),
        _without("optimizer_states"),
        _without("lr_schedulers"),
        _without("mlflow_nas.random"),
        _without("pytorch-lightning_version"),
        _all_callbacks,
        _other_shapes,
        _other_moments,
        _more_epochs,
        _later_loop,
    ],
)
def test_a_foreign_checkpoint_is_a_warning_and_a_fresh_start(
    damage: Callable[[dict[str, Any]], object],
    checkpoint: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever is missing or of another kind, the training ends as without it."""
    path = tmp_path / "epoch=1.ckpt"
    path.write_bytes(checkpoint)
    content = torch.load(path, weights_only=True)
    damage(content)
    torch.save(content, path)
    assert _continue(tmp_path, Recipe()) == 2 * EPOCHS
    assert "epoch=1.ckpt can't be used" in caplog.text


def test_damaged_bytes_never_raise(checkpoint: bytes, tmp_path: Path) -> None:
    """Truncated, overwritten and foreign files: none is a traceback; what is read is what was written."""
    rng = random.Random(0)
    for number in range(200):
        damaged = bytearray(checkpoint)
        for _ in range(rng.choice([1, 1, 20])):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        if number % 4 == 0:
            damaged = damaged[: rng.randrange(len(damaged))]
        elif number % 4 == 1:
            damaged = bytearray(rng.randbytes(rng.randrange(300)))
        (tmp_path / "epoch=1.ckpt").write_bytes(damaged)
        for found in read_checkpoints(tmp_path):
            assert found.epochs == 2


def test_a_torn_last_checkpoint_leaves_the_one_before(checkpoint: bytes, tmp_path: Path) -> None:
    """Lightning deletes a file when the next one is complete."""
    _interrupt(2, tmp_path, Recipe())
    (tmp_path / "epoch=2.ckpt").write_bytes(checkpoint[:1000])
    assert _continue(tmp_path, Recipe()) == 2 * (EPOCHS - 2)
