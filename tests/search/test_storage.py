from pathlib import Path

import pytest

from mlflow_nas.api.runs import as_params
from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.errors import ConfigError
from mlflow_nas.search import open_storage, open_study


def _study(storage: str | None, folder: Path) -> int:
    """Ask for one trial; how many the study then has."""
    study = open_study("s", storage=open_storage(storage, folder), sampler="random", seed=0, trials=4)
    study.ask()
    return len(study.get_trials())


@pytest.mark.parametrize("storage", [None, "here.journal", "sqlite:///here.db"])
def test_a_study_lives_in_its_storage(
    storage: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default journal, a journal that is named and a database remember the trials."""
    monkeypatch.chdir(tmp_path)
    assert [_study(storage, tmp_path / "folder") for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("sqlite:////nowhere/at/all/o.db", "unable to open database file"),
        ("ftp://example", "Can't load plugin: sqlalchemy.dialects:ftp"),
    ],
)
def test_a_database_that_cannot_be_opened_is_the_users_mistake(
    storage: str, said: str, tmp_path: Path
) -> None:
    """One sentence with the URL and the remedy."""
    with pytest.raises(ConfigError, match=said) as caught:
        open_storage(storage, tmp_path)
    assert "or a journal file" in str(caught.value)


def test_a_password_is_neither_shown_nor_logged(tmp_path: Path) -> None:
    """Not in the error, not in the run's params."""
    url = "postgresql+nodriver://nas:geheim@db/optuna"
    with pytest.raises(ConfigError) as caught:
        open_storage(url, tmp_path)
    config = load_config(SearchConfig, {"storage": url})
    for text in (str(caught.value), str(as_params(config)["storage"])):
        assert "geheim" not in text
        assert "nas:***@db" in text
