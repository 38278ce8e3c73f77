"""MLflow's deployment plugin `nas-edge`: models on devices, atomically switched."""

from mlflow_nas.deployments.client import EdgeDeploymentClient, run_local, target_help
from mlflow_nas.deployments.deploy import deploy

__all__ = ["EdgeDeploymentClient", "deploy", "run_local", "target_help"]
