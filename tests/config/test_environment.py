"""What the environment says."""

from pathlib import Path

import pytest

from mlflow_nas.config import cache_limit_bytes, cache_root, device_root, take_project_run_id, work_root
from mlflow_nas.errors import ConfigError


def test_the_project_run_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process must not find it."""
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    assert (take_project_run_id(), take_project_run_id()) == ("abc", None)


def test_the_home_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MLFLOW_NAS_HOME is where local devices keep their models, and studies their files."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path))
    assert device_root("local") == tmp_path / "devices" / "local"
    assert work_root() == tmp_path / "work"


def test_the_work_folder_is_the_users_wherever_the_project_lies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`mlflow run <git URI>` starts in a fresh folder each time, and continues the study."""
    monkeypatch.delenv("MLFLOW_NAS_WORK", raising=False)
    monkeypatch.delenv("MLFLOW_NAS_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    before = work_root()
    assert before.is_absolute()
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    assert work_root() == before
    monkeypatch.setenv("MLFLOW_NAS_WORK", "elsewhere")
    assert cache_root() == tmp_path / "clone/elsewhere/cache"


@pytest.mark.parametrize(("text", "size"), [("", 10_000_000_000), ("0.5", 500_000_000), ("0", 0)])
def test_the_caches_limit_is_in_gigabytes(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 unless the user says otherwise."""
    monkeypatch.setenv("MLFLOW_NAS_CACHE_GB", text)
    assert cache_limit_bytes() == size


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable's name."""
    monkeypatch.setenv("MLFLOW_NAS_CACHE_GB", text)
    with pytest.raises(ConfigError, match=f"MLFLOW_NAS_CACHE_GB={text} is no size"):
        cache_limit_bytes()
