"""A user's folder with an MLflow store, and the commands that are called there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny_space
from mlflow import MlflowClient
from mlflow.entities import Run

from mlflow_nas import api
from mlflow_nas.api import SearchResult
from mlflow_nas.search import StudyStore, load_store

__all__ = ["SMALL", "UserFolder"]

SMALL: dict[str, Any] = {
    "space": tiny_space.NAME,
    "data": "synthetic:train=8,val=4,size=128",
    "data.eval_augmentations": 2,
    "epochs": 1,
    "quantization.max_drop": 1,  # one epoch on eight images is noise
    "board": "fake",
    "seed": 1,
}
"""Options of the smallest search or training that still is one."""


@dataclass(frozen=True)
class UserFolder:
    """Where commands are called.

    Attributes:
        path: the working directory; also holds devices and their models.
        tracking_uri: of its MLflow store.
        work: name of the work folder; another one is a machine that has computed nothing yet.
    """

    path: Path
    tracking_uri: str
    work: str = "work"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the commands."""
        return {
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_NAS_HOME": str(self.path / "home"),
            "MLFLOW_NAS_WORK": str(self.path / self.work),
            "TORCH_HOME": str(self.path / "torch"),
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        }

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Work there."""
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(self.path)
            for name, value in self.environment.items():
                patched.setenv(name, value)
            yield

    def search(self, **options: Any) -> SearchResult:
        """A small search with more options."""
        with self.entered():
            return api.search(**{**SMALL, "training.seed_epochs": 1, "finalists": 0, **options})

    @property
    def client(self) -> MlflowClient:
        """Of the store."""
        return MlflowClient(self.tracking_uri)

    def runs(self, *roles: str) -> list[Run]:
        """The runs of these roles, all without one, oldest first."""
        client = self.client
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = client.search_runs(experiments, order_by=["attributes.start_time ASC"], max_results=1000)
        return [run for run in found if not roles or run.data.tags.get("nas.role") in roles]

    def store(self, study: str = "demo", storage: str | None = None) -> StudyStore:
        """A study in Optuna's storage."""
        with self.entered():
            return load_store(study, storage)

    def cached(self) -> set[str]:
        """The finished entries of the step cache, as STEP/FINGERPRINT."""
        cache = self.path / self.work / "cache"
        return {str(one.parent.relative_to(cache)) for one in cache.glob("*/*/entry.json")}
