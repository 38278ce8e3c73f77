"""Four errors that say whose fault it is; each message names the value, the bound and the remedy."""

__all__ = ["BoardError", "CandidateError", "ConfigError", "NasError", "RegistryError"]


class NasError(Exception):
    """Base of every error that mlflow_nas raises on purpose."""


class ConfigError(NasError):
    """The user's fault: an unknown option, a value out of range, missing or corrupt data."""


class CandidateError(NasError):
    """The architecture's fault: it can't be built, exported, quantized or trained; the search goes on."""


class BoardError(NasError):
    """The hardware's fault: the board can't be reached, died midway or gave no usable measurement."""


class RegistryError(NasError):
    """The model registry's fault: a version is missing, is not what it claims to be or can't be changed."""
