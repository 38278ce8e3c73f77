"""How much of the bare network's speed is left to a whole training.

The whole loop is `fit`: loading, augmentation, loss, optimizer, average. The bare network is forward and
backward of the same network on one batch in memory, with channels last and without, whichever is faster. They
are measured in turn, so that a busy machine meets both; the ratio is what counts. Beside it stands the loop
of a candidate that learns from the seed network, which is one more forward in each step.

    python benchmarks/training_throughput.py --threads 2 --batch-size 16
    python benchmarks/training_throughput.py --accelerator gpu
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
from common import Goal, end, make_parser, open_bench, table

from mlflow_nas.data import DetectionDataModule
from mlflow_nas.search import Workbench
from mlflow_nas.train import fit

EPOCHS = 3
MIN_STEPS = 2
LEAST = {"cpu": 0.9, "gpu": 0.8}


def bare_images_per_s(
    bench: Workbench,
    memory_format: torch.memory_format,
    *,
    steps: int,
    accelerator: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Forward and backward, nothing else."""
    baseline = bench.space.baseline
    device = _device(accelerator)
    network = bench.build(baseline).to(device).to(memory_format=memory_format).train()
    height, width = bench.input_size(baseline)
    images = torch.rand(bench.batch_size, 3, height, width, device=device)
    images = images.contiguous(memory_format=memory_format)
    start = 0.0
    for step in range(steps + 1):  # the first one warms up
        if step == 1:
            _finish(device)
            start = clock()
        network.zero_grad()
        total = torch.cat([part.flatten() for part in network.raw(images) if part is not None]).sum()
        total.backward()  # type: ignore[no-untyped-call]  # torch's
    _finish(device)
    return steps * bench.batch_size / (clock() - start)


def _device(accelerator: str) -> torch.device:
    if accelerator == "cpu":
        return torch.device("cpu")
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        sys.exit("torch finds no GPU here: leave out --accelerator gpu.")
    return found


def _finish(device: torch.device) -> None:
    """Wait for what was begun; a GPU works on while Python goes on."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def loop_images_per_s(
    bench: Workbench,
    *,
    taught: bool = False,
    accelerator: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """What an epoch more costs a training, also with the seed network's forward; it validates one image."""
    short, long = (_fit_s(bench, epochs, clock, accelerator, taught=taught) for epochs in (1, EPOCHS))
    return (EPOCHS - 1) * len(bench.train) / (long - short)


def _fit_s(
    bench: Workbench, epochs: int, clock: Callable[[], float], accelerator: str, *, taught: bool
) -> float:
    baseline = bench.space.baseline
    network = bench.build(baseline)
    data = DetectionDataModule(
        bench.train,
        bench.val.part(bench.val.records[:1]),
        img_size=bench.input_size(baseline),
        batch_size=bench.batch_size,
        seed=bench.seed,
    )
    start = clock()
    fit(
        network,
        data,
        epochs=epochs,
        seed=bench.seed,
        recipe=bench.recipe,
        teacher=bench.teacher(baseline) if taught else None,
        accelerator=accelerator,
    )
    return clock() - start  # the trained network is on the CPU: nothing is left to wait for


def measure(options: argparse.Namespace) -> Iterator[tuple[float, float, float, float]]:
    """Bare NCHW, bare channels last, the loop, the loop with a teacher: images per second, round by round."""
    bench = open_bench(options)
    steps = max(len(bench.train) // bench.batch_size, MIN_STEPS)
    on = options.accelerator
    for _ in range(options.rounds):
        plain, last = (
            bare_images_per_s(bench, memory_format, steps=steps, accelerator=on)
            for memory_format in (torch.contiguous_format, torch.channels_last)
        )
        loop, taught = (loop_images_per_s(bench, taught=also, accelerator=on) for also in (False, True))
        yield plain, last, loop, taught


def main() -> None:
    """Measure in turn, then print medians and the ratio."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--accelerator", choices=LEAST, default="cpu", help="what trains")
    parser.set_defaults(threads=2, batch_size=16)
    options = parser.parse_args()
    rounds = list(measure(options))
    plain, last, loop, taught = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(one[2] / max(one[:2]) for one in rounds)
    rows = [(f"{plain:.1f}", f"{last:.1f}", f"{loop:.1f}", f"{ratio:.2f}", f"{taught:.1f}")]
    head = (
        "bare NCHW, images/s",
        "bare channels last",
        "whole loop",
        "loop / fastest bare",
        "loop with the seed network's forward",
    )
    end(table(head, rows), Goal(head[3], ratio, LEAST[options.accelerator]))


if __name__ == "__main__":
    main()
