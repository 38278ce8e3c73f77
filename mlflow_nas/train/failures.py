"""Classification of errors of torch and Lightning: the machine's fault, or the candidate's."""

import re

import torch

from mlflow_nas.disk import is_machines_fault
from mlflow_nas.errors import CandidateError, MachineError, MemoryShortageError, NasError
from mlflow_nas.user_code import describe_error, last_line

__all__ = ["classify"]

_SHARED = "Give --shm-size to the container, or a smaller batch size (training.batch_size)."
_DISK = "Free some space, or set MLFLOW_NAS_WORK to another folder."
_MEMORY = "Give a smaller batch size (training.batch_size), or end other processes."
_ACCELERATOR = "Check the accelerator and its driver (nvidia-smi)."
_REMEDIES = {
    r"shared memory|/dev/shm|DataLoader worker \(pid|DataLoader timed out|Too many open files": _SHARED,
    # PytorchStreamWriter and "unexpected pos" are torch's words for a full disk.
    r"No space left on device|Disk quota exceeded|Read-only file system|Input/output error|"
    r"PytorchStreamWriter|unexpected pos": _DISK,
    r"out of memory|can't allocate memory|not enough memory|DefaultCPUAllocator|Cannot allocate memory|"
    r"bad_alloc|ALLOC_FAILED": _MEMORY,
    r"CUDA error|CUDA driver|CUDA-capable|NVIDIA driver|cuDNN error|CUDNN_STATUS|CUBLAS_STATUS|NVML|NCCL|"
    r"HIP error|MPS backend": _ACCELERATOR,
}
"""Pattern in a message to the remedy, the more particular first."""
_CANDIDATES_CUDA_ERROR = "device-side assert"
"""An index out of range on the GPU: the network's or its loss' fault, although CUDA reports it."""


def classify(error: BaseException) -> NasError:
    """The error to raise instead of what torch, Lightning or a user's network raised.

    Args:
        error: anything; a `NasError` is returned as it is.

    Returns:
        A `MachineError` for a full or broken disk, too little memory or shared memory, dead workers, a lost
        accelerator; else a `CandidateError` with the error's class, last line, and place in the user's code.
    """
    if isinstance(error, NasError):
        return error
    remedy = next(filter(None, map(_remedy, _causes(error))), None)
    if remedy is not None:
        kind = MemoryShortageError if remedy == _MEMORY else MachineError
        return kind(f"The machine failed: {type(error).__name__}: {last_line(error)}. {remedy}")
    return CandidateError(f"The network failed: {describe_error(error)}")


def _causes(error: BaseException | None) -> list[BaseException]:
    """The error and those that it was raised from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def _remedy(error: BaseException) -> str | None:
    """The remedy of a machine's fault; None for other errors."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return _MEMORY
    if isinstance(error, OSError) and is_machines_fault(error):
        return _DISK
    if not isinstance(error, OSError | RuntimeError) or _CANDIDATES_CUDA_ERROR in str(error):
        return None
    text = str(error)
    return next((remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, text)), None)
