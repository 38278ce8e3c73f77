"""Optuna's storage of a study: journals and databases that can't be used, or were damaged."""

import errno
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from filelock import FileLock
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from sqlalchemy.exc import IntegrityError, OperationalError
from studies import OBJECTIVES, open_loop

from mlflow_nas.errors import ConfigError, MachineError
from mlflow_nas.search import storage as search_storage
from mlflow_nas.search.storage import open_storage
from mlflow_nas.search.store import open_study


def test_the_default_is_a_journal_in_the_studys_folder(tmp_path: Path) -> None:
    """The folder is made, and a second process reads what the first has written."""
    open_study("test", storage=open_storage(None, tmp_path / "new"), objectives=OBJECTIVES)
    assert (tmp_path / "new" / "optuna.journal").is_file()
    again = open_storage(None, tmp_path / "new")
    assert [one.study_name for one in again.get_all_studies()] == ["test"]


def test_optunas_own_journal_opens_the_study(tmp_path: Path) -> None:
    """As optuna-dashboard does: it waits for none of our locks, and writes a note at once."""
    journal = tmp_path / "journal"
    open_loop(journal).run(2)
    began = time.monotonic()
    plain = optuna.load_study(study_name="test", storage=JournalStorage(JournalFileBackend(str(journal))))
    plain.set_user_attr("note", "a good one")
    assert time.monotonic() - began < 10, "Optuna's grace period is 30 s"
    assert [trial.number for trial in plain.trials] == [0, 1]
    open_loop(journal).run(3)
    assert len(open_loop(journal).claims.store.results()) == 3


def test_a_torn_last_line_is_cut_off_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After a full disk or a power cut the study continues with all that was whole."""
    journal = tmp_path / "journal"
    open_loop(journal).run(2)
    with journal.open("ab") as file:
        file.write(b'{"op_code":8,"worker_id":"x","trial')
    loop = open_loop(journal)
    loop.run(4)
    assert "torn" in caplog.text
    assert len(open_loop(journal).claims.store.results()) == 4


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal stays readable, the sentence names it, and the study continues when there is space."""
    journal = tmp_path / "journal"
    open_loop(journal).run(2)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(_descriptor: int) -> None:
        raise full

    loop = open_loop(journal)
    before = journal.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(MachineError, match=r"journal.*can't be written: No space left.*Free some space"):
            loop.run(3)
    assert journal.read_bytes() == before
    open_loop(journal).run(4)
    assert len(open_loop(journal).claims.store.results()) == 4


def _die_with_the_lock(journal: Path) -> None:
    FileLock(f"{journal}.flock").acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    """What a process held when it was killed is free at once."""
    journal = tmp_path / "journal"
    open_loop(journal).run(1)
    holder = multiprocessing.get_context("fork").Process(target=_die_with_the_lock, args=(journal,))
    holder.start()
    holder.join()
    assert holder.exitcode == -signal.SIGKILL
    loop = open_loop(journal)
    loop.run(2)
    assert {trial.state for trial in loop.claims.store.study.trials} == {TrialState.COMPLETE}


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("sqlite:////nowhere/at/all.db", "can't be opened"),
        ("nosuch://host/db", "can't be opened"),
        ("postgresql+nosuch://nas:s3cret@host/db", r"nas:\*\*\*@host.*can't be opened"),
    ],
)
def test_a_database_that_cant_be_opened_is_one_sentence(storage: str, message: str, tmp_path: Path) -> None:
    """It has the remedy, and no password."""
    with pytest.raises(ConfigError, match=message) as refused:
        open_storage(storage, tmp_path)
    assert "s3cret" not in str(refused.value)


def test_tables_that_another_worker_creates_meanwhile_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that start at once all create Optuna's tables: who comes second opens those of the first."""
    url = f"sqlite:///{tmp_path}/optuna.db"
    later = [
        IntegrityError("INSERT", {}, ValueError("UNIQUE constraint failed: alembic_version.version_num")),
        OperationalError("CREATE TABLE", {}, ValueError("table studies already exists")),
    ]

    def open_second(*args: Any, **settings: Any) -> RDBStorage:
        if later:
            raise later.pop()
        return RDBStorage(*args, **settings)

    monkeypatch.setattr(search_storage, "RDBStorage", open_second)
    assert open_storage(url, tmp_path).get_all_studies() == []
    assert not later


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    """The sentence says what is expected."""
    with pytest.raises(ConfigError, match="is a folder: give a journal file, or a database URL"):
        open_storage(str(tmp_path), tmp_path)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """It is left as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("these are my notes\nof Monday\n")
    with pytest.raises(ConfigError, match=r"notes.txt is no journal of Optuna, or damaged"):
        open_storage(str(file), tmp_path)
    assert file.read_text() == "these are my notes\nof Monday\n"


def test_other_objectives_are_another_study(tmp_path: Path) -> None:
    """A study is not continued with other objectives."""
    storage = open_storage(None, tmp_path)
    open_study("test", storage=storage, objectives=OBJECTIVES)
    with pytest.raises(ConfigError, match="objectives map, latency_ms, this call has latency_ms, map"):
        open_study("test", storage=storage, objectives=OBJECTIVES[::-1])
