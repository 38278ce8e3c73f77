"""How much of the bare network's speed is left to a whole training.

The whole loop is `fit`: loading, augmentation, loss, optimizer, average. The bare network is forward and
backward of the same network on one batch in memory, with channels last and without, whichever is faster. They
are measured in turn, so that a busy machine meets both; the ratio is what counts. Beside it stands the loop
of a candidate that learns the seed network's soft targets, which is one more forward in each step.

    python benchmarks/training_throughput.py --threads 2 --batch-size 16
    python benchmarks/training_throughput.py --accelerator gpu
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from common import Goal, end, make_parser, open_study, table

from mlflow_nas.data import DetectionDataModule
from mlflow_nas.train import TrainerSettings, fit
from mlflow_nas.trial import StudyContext

EPOCHS = 3
MIN_STEPS = 2
LEAST = {"cpu": 0.9, "gpu": 0.8}


def bare_images_per_s(
    context: StudyContext,
    memory_format: torch.memory_format,
    *,
    steps: int,
    accelerator: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Forward and backward, nothing else."""
    baseline = context.space.baseline
    device = _device(accelerator)
    network: Any = context.build(baseline).to(device).to(memory_format=memory_format).train()
    height, width = context.input_size(baseline)
    images = torch.rand(context.batch_size, 3, height, width, device=device)
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
    return steps * context.batch_size / (clock() - start)


def _device(accelerator: str) -> torch.device:
    if accelerator == "cpu":
        return torch.device("cpu")
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        sys.exit("torch finds no GPU here: leave out --accelerator gpu.")
    return found


def _finish(device: torch.device) -> None:
    """Wait for a GPU, which works while Python continues."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def loop_images_per_s(
    context: StudyContext,
    *,
    distilled: bool = False,
    accelerator: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Images per second of one more epoch, with the seed network's forward or without, on one val image."""
    short, long = (_fit_s(context, epochs, clock, accelerator, distilled=distilled) for epochs in (1, EPOCHS))
    return (EPOCHS - 1) * len(context.train) / (long - short)


def _fit_s(
    context: StudyContext, epochs: int, clock: Callable[[], float], accelerator: str, *, distilled: bool
) -> float:
    baseline = context.space.baseline
    network = context.build(baseline)
    data = DetectionDataModule(
        context.train,
        context.val.part(context.val.records[:1]),
        img_size=context.input_size(baseline),
        batch_size=context.batch_size,
        seed=context.seed,
    )
    start = clock()
    fit(
        network,
        data,
        epochs=epochs,
        seed=context.seed,
        recipe=context.recipe,
        teacher=context.teacher(baseline) if distilled else None,
        parts=context.parts,
        trainer=TrainerSettings(accelerator=accelerator),
        threads=context.threads,
    )
    return clock() - start  # the trained network is on the CPU: nothing is left to wait for


def measure(options: argparse.Namespace) -> Iterator[tuple[float, float, float, float]]:
    """Bare NCHW, bare channels last, the loop, the loop with a teacher: images per second, round by round."""
    context = open_study(options)
    steps = max(len(context.train) // context.batch_size, MIN_STEPS)
    on = options.accelerator
    for _ in range(options.rounds):
        plain, last = (
            bare_images_per_s(context, memory_format, steps=steps, accelerator=on)
            for memory_format in (torch.contiguous_format, torch.channels_last)
        )
        loop, distilled = (
            loop_images_per_s(context, distilled=also, accelerator=on) for also in (False, True)
        )
        yield plain, last, loop, distilled


def main() -> None:
    """Measure in turn, then print medians and the ratio."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--accelerator", choices=LEAST, default="cpu", help="what trains")
    parser.set_defaults(threads=2, batch_size=16)
    options = parser.parse_args()
    rounds = list(measure(options))
    plain, last, loop, distilled = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(one[2] / max(one[:2]) for one in rounds)
    rows = [(f"{plain:.1f}", f"{last:.1f}", f"{loop:.1f}", f"{ratio:.2f}", f"{distilled:.1f}")]
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
