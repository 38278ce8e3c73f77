"""Errors that say whose fault it is; each message names the value, the bound and the remedy."""

__all__ = [
    "AlreadyExistsError",
    "BoardError",
    "CandidateError",
    "ConfigError",
    "MachineError",
    "MemoryShortageError",
    "NasError",
    "NotFoundError",
    "RegistryError",
]


class NasError(Exception):
    """Base of every error that mlflow_nas raises on purpose."""


class ConfigError(NasError):
    """The user's fault: an unknown option, a value out of range, missing or corrupt data."""


class NotFoundError(ConfigError):
    """The user names something that does not exist."""


class AlreadyExistsError(ConfigError):
    """The user creates something that exists."""


class CandidateError(NasError):
    """The architecture's fault: it can't be built, trained, exported or quantized; the search continues."""


class BoardError(NasError):
    """The hardware's fault: the board can't be reached, fails midway or gives no usable measurement."""


class RegistryError(NasError):
    """The model registry's fault: a version is missing, is not what it claims to be or can't be changed."""


class MachineError(NasError):
    """This machine's fault: a full disk, too little memory or shared memory, a lost accelerator.

    Never the candidate's: its trial is evaluated again.
    """


class MemoryShortageError(MachineError):
    """Too little memory; a trial that ends with it twice needs too much itself, and fails."""
