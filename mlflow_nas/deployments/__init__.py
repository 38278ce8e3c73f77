"""MLflow's deployment plugin `nas-edge`: models on devices, verified and switched atomically."""

from mlflow_nas.deployments.client import EdgeDeploymentClient, run_local, target_help
from mlflow_nas.deployments.deploy import deploy, rollback
from mlflow_nas.deployments.follow import follow
from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.publish import MLFLOW, publish, take_reports

__all__ = [
    "MLFLOW",
    "EdgeDeploymentClient",
    "Options",
    "deploy",
    "follow",
    "publish",
    "rollback",
    "run_local",
    "take_reports",
    "target_help",
]
