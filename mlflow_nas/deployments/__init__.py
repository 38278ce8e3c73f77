"""MLflow's deployment plugin `nas-edge`: models on devices, proved there, atomically switched."""

from mlflow_nas.deployments.client import EdgeDeploymentClient, run_local, target_help
from mlflow_nas.deployments.deploy import deploy
from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.rollback import rollback

__all__ = ["EdgeDeploymentClient", "Options", "deploy", "rollback", "run_local", "target_help"]
