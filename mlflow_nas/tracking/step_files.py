"""Entries of the step cache in MLflow: logged by one machine, fetched by others."""

import shutil
import tempfile
from pathlib import Path

from mlflow import MlflowClient

from mlflow_nas.tracking.server import server_call

__all__ = ["STEP", "fetch_step_files", "step_folder"]

STEP = "nas.step."
"""Prefix of the tag that holds the fingerprint of a step whose files a run has."""


def step_folder(step: str) -> str:
    """Artifact folder of a step's files."""
    return f"steps/{step}"


@server_call("fetch the files of a step")
def fetch_step_files(
    client: MlflowClient, experiment_id: str, step: str, fingerprint: str, folder: Path
) -> bool:
    """Download the files of a step into a folder; False where no run has them.

    Raises:
        RegistryError: MLflow does not answer.
    """
    runs = client.search_runs([experiment_id], f"tags.`{STEP}{step}` = '{fingerprint}'", max_results=1)
    if not runs:
        return False
    with tempfile.TemporaryDirectory() as temporary:
        local = client.download_artifacts(runs[0].info.run_id, step_folder(step), temporary)
        shutil.copytree(local, folder, dirs_exist_ok=True)
    return True
