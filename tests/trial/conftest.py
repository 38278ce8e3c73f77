"""A trial that many tests look at, or continue from."""

import shutil
from pathlib import Path

import pytest
from contexts import SMALL, Finished, Recorder, open_context

from mlflow_nas.trial import run_trial


@pytest.fixture(scope="package")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A trial whose cache no test changes."""
    folder, heard = tmp_path_factory.mktemp("finished"), Recorder()
    context = open_context(folder)
    return Finished(folder, context, run_trial(context, SMALL, number=3, listener=heard), heard)


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    """A folder with a copy of its cache."""
    shutil.copytree(finished.folder / "cache", tmp_path / "cache")
    return tmp_path
