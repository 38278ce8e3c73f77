"""Workers that read images never wait for shared memory that is not there."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import NoReturn

import pytest
from torch.utils.data import Dataset

from mlflow_nas.data import BatchPlan, DetectionDataModule, RawBatch, SequentialPlans, load_dataset
from mlflow_nas.data.workers import WorkerLoader
from mlflow_nas.errors import ConfigError, MachineError

BATCH_BYTES = 5 * 3 * 64 * 64  # the last batch may have one image more than the others


def _data() -> DetectionDataModule:
    train, val = (load_dataset("synthetic:train=8,val=2,size=64", split) for split in ("train", "val"))
    return DetectionDataModule(train, val, img_size=(64, 64), batch_size=4, seed=0, memory_limit_bytes=0)


@pytest.mark.parametrize(("free_bytes", "fits"), [(6 * BATCH_BYTES, True), (6 * BATCH_BYTES - 1, False)])
def test_batches_in_flight_must_fit_into_shared_memory(
    free_bytes: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of each worker and two of the training; else no worker starts, and the sentence has the remedy."""
    data = _data()
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=free_bytes, f_frsize=1))
    if fits:
        assert len(data.train_dataloader()) == 2
        return
    for load in (data.train_dataloader, data.val_dataloader, lambda: next(data.batches("val"))):
        with pytest.raises(
            MachineError,
            match=r"^Too little shared memory: 2 workers need 0\.4 MB .*0\.4 MB of /dev/shm.*"
            r"Give --shm-size to the container, or a smaller batch size \(training\.batch_size\)\.$",
        ):
            load()


def test_workers_give_what_is_read_without_them() -> None:
    """Batch by batch, more than once."""
    train, val = (load_dataset("synthetic:train=8,val=2,size=64", split) for split in ("train", "val"))
    alone = DetectionDataModule(train, val, img_size=(64, 64), batch_size=4, seed=0)
    loader = _data().train_dataloader()
    for _ in range(2):
        for one, other in zip(loader, alone.train_dataloader(), strict=True):
            assert one.images.equal(other.images)
            assert one.seed == other.seed


class _Broken(Dataset[RawBatch]):
    """Fails in the worker, in one of three ways."""

    def __init__(self, how: str) -> None:
        self._how = how

    def __getitem__(self, plan: BatchPlan) -> NoReturn:
        if self._how == "hangs" and plan.indices[0] == 0:
            time.sleep(60)
        if self._how == "dies":
            os._exit(1)
        raise ConfigError("a.jpg: not a readable image (truncated); save it again")


@pytest.mark.parametrize(
    ("how", "kind", "sentence"),
    [
        (
            "hangs",
            MachineError,
            r"that read images failed: DataLoader timed out .*--shm-size",
        ),
        ("dies", MachineError, r"that read images failed: .*exited unexpectedly.*--shm-size"),
        ("fails", ConfigError, r"^a\.jpg: not a readable image \(truncated\); save it again$"),
    ],
)
def test_a_worker_that_fails_is_one_sentence(how: str, kind: type[Exception], sentence: str) -> None:
    """Whose fault it is, without the worker's traceback; torch ends a worker that hangs after 5 s."""
    loader = WorkerLoader(_Broken(how), SequentialPlans(4, 2), timeout_s=1)
    start = time.monotonic()
    with pytest.raises(kind, match=sentence):
        list(loader)
    del loader
    assert time.monotonic() - start < 30


TRAINS = """
from mlflow_nas.data import DetectionDataModule, load_dataset
from mlflow_nas.errors import MachineError
from mlflow_nas.train import TrainerSettings, fit
from torch import nn
train, val = (load_dataset("synthetic:train=128,val=4,size=64", split) for split in ("train", "val"))
data = DetectionDataModule(train, val, img_size=(64, 64), batch_size=128, seed=0, memory_limit_bytes=0)
try:
    fit(nn.Conv2d(3, 5, 16, 16), data, epochs=1, seed=0, trainer=TrainerSettings(accelerator="cpu"))
except MachineError as error:
    print(error)
"""


@pytest.fixture
def small_shared_memory() -> list[str]:
    """The start of a command that runs with 8 MB of shared memory."""
    command = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=8m tmpfs /dev/shm && exec "$@"', "sh"]
    if os.getuid() != 0 or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        message = "a small /dev/shm can't be mounted: that takes root, and a container that may mount"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return command


@pytest.mark.services
def test_a_training_in_a_small_container_ends_with_one_sentence(small_shared_memory: list[str]) -> None:
    """A container has 64 MB of shared memory, this one 8."""
    done = subprocess.run(
        [*small_shared_memory, sys.executable, "-c", TRAINS],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.startswith("Too little shared memory: 2 workers need 9.5 MB")
    assert "Traceback" not in done.stderr
