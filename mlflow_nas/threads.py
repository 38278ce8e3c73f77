"""Threads that wait without spinning; standard library only, so that it can run before torch is imported."""

import os

__all__ = ["use_passive_threads"]

_SETTINGS = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",  # libgomp, which torch ships
    "KMP_BLOCKTIME": "0",  # LLVM's and Intel's OpenMP
}


def use_passive_threads() -> None:
    """Let OpenMP's threads sleep while they wait, in this process and its children.

    By default they spin at each barrier: beside another busy process that takes cores from both. OpenMP reads
    these variables once, when torch is imported; variables that are set already stay.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
