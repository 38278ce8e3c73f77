"""Short versions of benchmarks/: ratios of processor time in one run, which a busy machine hardly changes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
import torch
from estimator_throughput import scratch_bench
from training_throughput import bare_images_per_s, loop_images_per_s

from mlflow_nas.data import DetectionDataModule, in_order, load_dataset
from mlflow_nas.space import build_detector, fastestdet_head, load_seed_weights, narrow
from mlflow_nas.train import CocoMap, DetectorModule, Freeze, Recipe, decode, fit

T = TypeVar("T")
BASELINE = fastestdet_head().baseline
MOST = 0.15
"""The aim; benchmarks/evaluation_speed.py measures what is said in docs/results/detector.md."""
LEAST = 0.7
"""benchmarks/training_throughput.py measures .98; the aim is .90, of large batches on a quiet machine."""


@pytest.fixture
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _processor_s(work: Callable[[], T]) -> tuple[T, float]:
    start = time.process_time()
    return work(), time.process_time() - start


@pytest.mark.usefixtures("_one_thread")
def test_evaluation_costs_a_fraction_of_the_networks_forward(
    penn_fudan: Path, fastestdet_weights: Path
) -> None:
    """Decoding, suppression, matching and mAP of 50 photographs at 320 pixels, the best of three runs."""
    weights = load_seed_weights(fastestdet_weights).for_classes(("person",))
    network = build_detector(BASELINE, num_classes=1, weights=weights).eval()
    network.to(memory_format=torch.channels_last)
    batches = list(in_order(load_dataset(f"coco:{penn_fudan}", "val"), img_size=(320, 320)))

    def forward() -> list[torch.Tensor]:
        with torch.inference_mode():
            return [network(batch.images.contiguous(memory_format=torch.channels_last)) for batch in batches]

    def rest() -> dict[str, float]:
        metric = CocoMap()
        for output, batch in zip(outputs, batches, strict=True):
            metric.update(decode(output), batch.targets, batch.sizes)
        return metric.compute()

    ratios = []
    for _ in range(3):
        outputs, forward_s = _processor_s(forward)
        found, rest_s = _processor_s(rest)
        assert found["map"] > 0.4
        ratios.append(rest_s / forward_s)
    assert min(ratios) < MOST


@pytest.mark.usefixtures("_one_thread")
def test_a_training_keeps_the_speed_of_its_network(tmp_path: Path) -> None:
    """Images per second of the whole loop against forward and backward alone, the best of three rounds."""
    bench = scratch_bench(narrow(fastestdet_head(), ("img_width=224",)), tmp_path)
    ratios = []
    for _ in range(3):
        bare = bare_images_per_s(bench, torch.channels_last, steps=5, clock=time.process_time)
        ratios.append(loop_images_per_s(bench, clock=time.process_time) / bare)
    assert max(ratios) > LEAST


class _FirstStep(Exception):  # noqa: N818 - no error: the measurement ends there
    """Reached."""


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_a_trial_begins_to_train_within_a_second(freeze: Freeze, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the architecture to the first step, after the first trial; no step waits for all features."""

    def stop(*_: object) -> NoReturn:
        raise _FirstStep

    monkeypatch.setattr(DetectorModule, "training_step", stop)
    train, val = (load_dataset("synthetic:train=64,val=16,size=320", split) for split in ("train", "val"))

    def begin() -> None:
        network = build_detector(BASELINE, num_classes=1)
        data = DetectionDataModule(train, val, img_size=(320, 320), batch_size=8, seed=0)
        with pytest.raises(_FirstStep):
            fit(network, data, epochs=5, seed=0, recipe=Recipe(freeze=freeze), accelerator="cpu")

    begin()
    # The best of three: now and then Python's garbage collector goes through all that earlier tests left.
    seconds = [_processor_s(begin)[1] for _ in range(3)]
    assert min(seconds) < 1, seconds
