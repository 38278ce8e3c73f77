"""Whose fault an error is."""

import errno
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mlflow_nas.errors import BoardError, CandidateError, MachineError
from mlflow_nas.train import classify


def _raised(work: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        work()
    return caught.value


@contextmanager
def _small_files() -> Iterator[None]:
    """No file of this process may grow beyond 16 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_torch_without_memory_is_the_machines_fault() -> None:
    """The allocator's own error, and Python's."""
    for error in (_raised(lambda: torch.empty(2**60)), _raised(lambda: bytearray(2**60))):
        failure = classify(error)
        assert isinstance(failure, MachineError)
        assert "Give a smaller batch size" in str(failure)


def test_a_disk_that_torch_cant_write_is_the_machines_fault(tmp_path: Path) -> None:
    """Torch names no reason: "unexpected pos"."""
    with _small_files():
        error = _raised(lambda: torch.save(torch.zeros(10_000), tmp_path / "w.pt"))
    failure = classify(error)
    assert isinstance(failure, MachineError)
    assert "Free some space" in str(failure)


class _Deadly(Dataset[int]):
    """Kills the worker that reads it."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _index: int) -> NoReturn:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_worker_that_was_killed_is_the_machines_fault() -> None:
    """By the kernel, most often, when memory is full."""
    failure = classify(_raised(lambda: list(DataLoader(_Deadly(), num_workers=1))))
    assert isinstance(failure, MachineError)
    assert "DataLoader worker" in str(failure)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_is_the_machines_fault(code: int) -> None:
    """Also as the cause of another error."""
    error = OSError(code, "broken")
    wrapped = ValueError("can't save")
    wrapped.__cause__ = error
    for one in (error, wrapped):
        assert isinstance(classify(one), MachineError)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("unable to allocate shared memory(shm): No space left on device (28)", "--shm-size"),
        ("DataLoader worker (pid 4) is killed by signal: Bus error.", "--shm-size"),
        ("DataLoader timed out after 120 seconds", "--shm-size"),
        ("CUDA out of memory. Tried to allocate 20.00 MiB", "smaller batch size"),
        ("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory", "batch size"),
        ("CUDA error: unspecified launch failure", "nvidia-smi"),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR", "nvidia-smi"),
        ("Found no NVIDIA driver on your system.", "nvidia-smi"),
    ],
)
def test_torchs_words_for_the_machines_faults_are_known(message: str, remedy: str) -> None:
    """With the remedy that fits."""
    failure = classify(RuntimeError(message))
    assert isinstance(failure, MachineError)
    assert remedy in str(failure)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RuntimeError("shapes\n  2x3 and 4x5"), "The network failed: RuntimeError: 2x3 and 4x5"),
        (AttributeError("no attribute 'raw'."), "The network failed: AttributeError: no attribute 'raw'"),
        (AssertionError(), "The network failed: AssertionError: no reason given"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), "The network failed: FileNotFoundError: .*x"),
        (RuntimeError("CUDA error: device-side assert triggered"), "The network failed: RuntimeError: CUDA"),
        (SystemExit(0), "The network failed: SystemExit: 0"),
    ],
)
def test_anything_else_is_the_candidates_fault(error: BaseException, sentence: str) -> None:
    """With its class and its last line."""
    with pytest.raises(CandidateError, match=f"^{sentence}"):
        raise classify(error)


def test_an_error_of_this_package_stays_what_it_is() -> None:
    """Whose fault it is, it says itself."""
    error = BoardError("gone")
    assert classify(error) is error
