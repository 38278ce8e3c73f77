"""The only reader of environment variables."""

import os
from pathlib import Path

import platformdirs

from mlflow_nas.errors import ConfigError

__all__ = [
    "VARIABLES",
    "cache_limit_bytes",
    "cache_root",
    "device_root",
    "devices_file",
    "experiment_id_from_environment",
    "keep_mlflow_quiet",
    "keep_opencv_quiet",
    "runtimes_root",
    "settings_from_environment",
    "take_project_run_id",
    "variables_for_workers",
    "webhook_secret",
    "work_root",
]

DEFAULT_CACHE_GB = 10.0
MIN_SECRET_CHARACTERS = 16

VARIABLES = {
    "MLFLOW_NAS_WORK": "Folder of studies and of the step cache; unset: below MLFLOW_NAS_HOME",
    "MLFLOW_NAS_HOME": "Folder of the local device's models and of the work folder; unset: "
    "the user's data folder",
    "MLFLOW_NAS_CACHE_GB": f"Size limit of the step cache, gigabytes; unset: {DEFAULT_CACHE_GB:g}",
    "MLFLOW_NAS_RUNTIMES": "Folder of the converters' environments; unset: runtimes in the work folder",
    "MLFLOW_NAS_STORAGE": "Optuna storage of studies (search.storage): for a URL with a password",
    "MLFLOW_NAS_DEVICES": "Device inventory; unset: ./devices.yaml",
    "MLFLOW_NAS_WEBHOOK_SECRET": "Secret that the MLflow server and the webhook's receiver share",
    "MLFLOW_TRACKING_URI": "MLflow's own: where runs are logged; unset: sqlite:///mlflow.db",
    "MLFLOW_REGISTRY_URI": "MLflow's own: where models are registered; unset: the tracking URI",
    "MLFLOW_EXPERIMENT_NAME": "MLflow's own: the experiment (tracking.experiment)",
    "MLFLOW_EXPERIMENT_ID": "MLflow's own: the experiment, where tracking.experiment is not given",
}
"""Documented in docs/reference/configuration.md."""

_SECRET = {"MLFLOW_NAS_STORAGE", "MLFLOW_NAS_WEBHOOK_SECRET"}
_OPTIONS = {"storage": "MLFLOW_NAS_STORAGE", "experiment": "MLFLOW_EXPERIMENT_NAME"}


def settings_from_environment() -> dict[str, tuple[str, str]]:
    """Option to the variable that gives it and its value, of the variables that are set."""
    values = {option: (variable, os.environ.get(variable, "")) for option, variable in _OPTIONS.items()}
    return {option: found for option, found in values.items() if found[1]}


def variables_for_workers() -> dict[str, str]:
    """Our variables that are set, for workers that an engine starts; without those that hold a secret."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ and name not in _SECRET}


def take_project_run_id() -> str | None:
    """The run that `mlflow run` created for this process, at the first call; None outside a project.

    The variable is removed: a child process that finds it would log into the run.
    """
    return os.environ.pop("MLFLOW_RUN_ID", None)


def experiment_id_from_environment() -> str | None:
    """`MLFLOW_EXPERIMENT_ID`, where it is set."""
    return os.environ.get("MLFLOW_EXPERIMENT_ID") or None


def webhook_secret() -> str:
    """`MLFLOW_NAS_WEBHOOK_SECRET`: signs what the MLflow server sends.

    Raises:
        ConfigError: it is not set, or short enough to be guessed.
    """
    secret = os.environ.get("MLFLOW_NAS_WEBHOOK_SECRET", "")
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise ConfigError(
            f"MLFLOW_NAS_WEBHOOK_SECRET has {len(secret)} characters, a secret has at least "
            f"{MIN_SECRET_CHARACTERS}: set it, such as to the output of `openssl rand -hex 32`."
        )
    return secret


def _home() -> Path:
    """`MLFLOW_NAS_HOME`, or the user's data folder."""
    return Path(os.environ.get("MLFLOW_NAS_HOME") or platformdirs.user_data_path("mlflow_nas")).absolute()


def device_root(name: str) -> Path:
    """Folder in which a device on this machine keeps its models."""
    return _home() / "devices" / name


def work_root() -> Path:
    """Folder of studies and their files: `MLFLOW_NAS_WORK`, or below the user's own folder.

    It is outside of the project, so that `mlflow run <git URI>` continues a study.
    """
    return Path(os.environ.get("MLFLOW_NAS_WORK") or _home() / "work").absolute()


def cache_root() -> Path:
    """Folder of the step cache: `cache` in the work folder."""
    return work_root() / "cache"


def runtimes_root() -> Path:
    """Folder of the converters' environments: `MLFLOW_NAS_RUNTIMES`, or `runtimes` in the work folder."""
    return Path(os.environ.get("MLFLOW_NAS_RUNTIMES") or work_root() / "runtimes").absolute()


def cache_limit_bytes() -> int:
    """Size limit of the step cache: `MLFLOW_NAS_CACHE_GB`, or 10 GB.

    Raises:
        ConfigError: it is no number of gigabytes.
    """
    text = os.environ.get("MLFLOW_NAS_CACHE_GB") or str(DEFAULT_CACHE_GB)
    try:
        size_gb = float(text)
    except ValueError:
        size_gb = -1.0
    if not 0 <= size_gb < 1e6:
        raise ConfigError(f"MLFLOW_NAS_CACHE_GB={text[:80]} is no size in gigabytes: give 0 or more.")
    return int(size_gb * 1e9)


def devices_file() -> Path | None:
    """The inventory of devices: `MLFLOW_NAS_DEVICES`, or devices.yaml in this folder; None without one."""
    named = os.environ.get("MLFLOW_NAS_DEVICES")
    here = Path("devices.yaml")
    if named:
        return Path(named)
    return here if here.exists() else None


def keep_mlflow_quiet() -> None:
    """Switch off MLflow's progress bars and what it prints of runs and tables, unless the user set them."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")


def keep_opencv_quiet() -> None:
    """Switch off the log of OpenCV and its codecs, unless the user set them; before it is imported."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's AV_LOG_QUIET
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
