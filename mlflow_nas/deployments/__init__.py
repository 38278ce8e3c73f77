"""MLflow's deployment plugin `nas-edge`: models on devices, verified and switched atomically."""

from mlflow_nas.deployments.client import EdgeDeploymentClient, run_local, target_help
from mlflow_nas.deployments.deploy import deploy, rollback
from mlflow_nas.deployments.follow import follow
from mlflow_nas.deployments.options import Options

__all__ = ["EdgeDeploymentClient", "Options", "deploy", "follow", "rollback", "run_local", "target_help"]
