"""Batches read by worker processes and passed on in shared memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from mlflow_nas.data.sample import RawBatch
from mlflow_nas.data.sampling import BatchPlan
from mlflow_nas.errors import ConfigError, MachineError

__all__ = ["WorkerLoader", "check_shared_memory"]

WORKERS = 2
_PREFETCHED = 2
_HELD = 2  # by the training: the batch of the step, and Lightning's next one
_TIMEOUT_S = 120
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - Linux' shared memory, no temporary file
_REMEDY = "Give --shm-size to the container, or a smaller batch size (training.batch_size)."


def check_shared_memory(batch_bytes: int) -> None:
    """Check that the batches in flight fit: a worker that finds no space hangs, and the training with it.

    Args:
        batch_bytes: of the images of one batch.

    Raises:
        MachineError: too little is free.
    """
    needed = (WORKERS * _PREFETCHED + _HELD) * batch_bytes
    try:
        found = os.statvfs(_SHARED_MEMORY)
    except OSError:  # another operating system has no such folder
        return
    free = found.f_bavail * found.f_frsize
    if needed > free:
        raise MachineError(
            f"Too little shared memory: {WORKERS} workers need {needed / 1e6:.1f} MB for batches of "
            f"{batch_bytes / 1e6:.1f} MB, {free / 1e6:.1f} MB of {_SHARED_MEMORY} are free. {_REMEDY}"
        )


class WorkerLoader(DataLoader[RawBatch]):
    """torch's DataLoader over planned batches, whose failures are errors of one sentence.

    Args:
        source: batches by plan.
        plans: in their order.
        timeout_s: a batch that takes longer ends the loading.
    """

    def __init__(
        self, source: Dataset[RawBatch], plans: Sampler[BatchPlan], *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        super().__init__(
            source,
            batch_size=None,
            sampler=plans,
            num_workers=WORKERS,
            prefetch_factor=_PREFETCHED,
            persistent_workers=True,
            timeout=timeout_s,
            generator=torch.Generator(),  # its own: what the network draws does not depend on workers
        )

    def __iter__(self) -> Iterator[RawBatch]:  # type: ignore[override]  # torch names its private iterator
        """The batches.

        Raises:
            ConfigError: an image can't be decoded.
            MachineError: a worker died, hung, or found too little shared memory.
        """
        try:
            yield from super().__iter__()
        except ConfigError as error:  # raised by a worker, with its whole traceback as the message
            last = str(error).strip().splitlines()[-1]
            raise ConfigError(last.partition("ConfigError: ")[2] or last) from None
        except (RuntimeError, OSError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise MachineError(
                f"The workers that read images failed: {reason} If shared memory is full: {_REMEDY}"
            ) from error
