"""What the user may say: one frozen tree per command, and the environment."""

from mlflow_nas.config.commands import (
    BoardsConfig,
    DoctorConfig,
    EvaluateConfig,
    FocusConfig,
    ProfileConfig,
    SearchConfig,
    StudyOptions,
    TrainConfig,
)
from mlflow_nas.config.delivery import DeployConfig, PromoteConfig, RollbackConfig
from mlflow_nas.config.devices import find_device, find_group, load_devices
from mlflow_nas.config.environment import (
    device_root,
    keep_mlflow_quiet,
    measurements_root,
    take_project_run_id,
    work_root,
)
from mlflow_nas.config.parse import as_option, load_config, without_password
from mlflow_nas.config.report import ReportConfig
from mlflow_nas.config.select import SelectConfig

__all__ = [
    "BoardsConfig",
    "DeployConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "FocusConfig",
    "ProfileConfig",
    "PromoteConfig",
    "ReportConfig",
    "RollbackConfig",
    "SearchConfig",
    "SelectConfig",
    "StudyOptions",
    "TrainConfig",
    "as_option",
    "device_root",
    "find_device",
    "find_group",
    "keep_mlflow_quiet",
    "load_config",
    "load_devices",
    "measurements_root",
    "take_project_run_id",
    "without_password",
    "work_root",
]
