"""The only reader of environment variables."""

import os
from pathlib import Path

import platformdirs

__all__ = [
    "device_root",
    "devices_file",
    "keep_mlflow_quiet",
    "measurements_root",
    "take_project_run_id",
    "work_root",
]


def take_project_run_id() -> str | None:
    """The run that `mlflow run` made for this process, once; None outside a project.

    The variable is removed: a child process that finds it would hijack the run.
    """
    return os.environ.pop("MLFLOW_RUN_ID", None)


def _home() -> Path:
    """`MLFLOW_NAS_HOME`, or the user's data folder."""
    return Path(os.environ.get("MLFLOW_NAS_HOME") or platformdirs.user_data_path("mlflow_nas"))


def device_root(name: str) -> Path:
    """Folder in which a device on this machine keeps its models."""
    return _home() / "devices" / name


def measurements_root() -> Path:
    """Folder of the measurements that are not repeated."""
    return _home() / "measurements"


def devices_file() -> Path | None:
    """The inventory of devices: `MLFLOW_NAS_DEVICES`, or devices.yaml in this folder; None without one."""
    named = os.environ.get("MLFLOW_NAS_DEVICES")
    here = Path("devices.yaml")
    if named:
        return Path(named)
    return here if here.exists() else None


def work_root() -> Path:
    """Folder for a study's journal and files while it runs: `MLFLOW_NAS_WORK`, or .nas in this folder."""
    return Path(os.environ.get("MLFLOW_NAS_WORK", ".nas")).absolute()


def keep_mlflow_quiet() -> None:
    """Keep MLflow's bars and its lines about each run off the terminal, unless the user wants them."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
