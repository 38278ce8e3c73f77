"""The step cache."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.errors import CandidateError, MachineError
from mlflow_nas.trial.cache import StepCache, fingerprint


def _write(text: str, calls: list[str] | None = None) -> Any:
    def make(folder: Path) -> Mapping[str, Any]:
        if calls is not None:
            calls.append(text)
        (folder / "file.txt").write_text(text, encoding="utf-8")
        return {"metrics": {"length": len(text)}}

    return make


def test_a_step_is_computed_once(tmp_path: Path) -> None:
    """The second call returns the files and values of the first."""
    cache, calls = StepCache(tmp_path), []
    first = cache.make("train", "key", _write("weights", calls))
    again = StepCache(tmp_path).make("train", "key", _write("others", calls))
    assert calls == ["weights"]
    assert again == first
    assert again.file("file.txt").read_text() == "weights"
    assert again.values == {"metrics": {"length": 7}}


@pytest.mark.parametrize("damage", ["file", "missing file", "entry", "empty entry"])
def test_a_damaged_entry_is_computed_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is damaged, the step says so and gives what it should."""
    cache = StepCache(tmp_path)
    entry = cache.make("export", "key", _write("good"))
    match damage:
        case "file":
            entry.file("file.txt").write_text("bad")
        case "missing file":
            entry.file("file.txt").unlink()
        case "entry":
            entry.file("entry.json").write_text("[1,")
        case "empty entry":
            entry.file("entry.json").write_text("{}")
    assert cache.make("export", "key", _write("good")).file("file.txt").read_text() == "good"
    assert "is damaged" in caplog.text


def test_what_is_missing_is_fetched_before_it_is_computed(tmp_path: Path) -> None:
    """An entry that was logged elsewhere is downloaded, and is then like one of this machine."""
    elsewhere = StepCache(tmp_path / "elsewhere").make("train", "key", _write("weights"))

    def fetch(step: str, key: str, folder: Path) -> bool:
        if (step, key) != ("train", "key"):
            return False
        shutil.copytree(elsewhere.folder, folder, dirs_exist_ok=True)
        return True

    calls: list[str] = []
    cache = StepCache(tmp_path / "here", fetch=fetch)
    assert cache.make("train", "key", _write("again", calls)).file("file.txt").read_text() == "weights"
    assert cache.make("train", "other", _write("new", calls)).file("file.txt").read_text() == "new"
    assert calls == ["new"]


def test_a_failed_step_leaves_no_entry(tmp_path: Path) -> None:
    """It is computed by the next call, which finds what the first one had written."""
    cache = StepCache(tmp_path)

    def fail(folder: Path) -> Mapping[str, Any]:
        (folder / "checkpoint").write_text("epoch 3")
        raise CandidateError("diverged")

    with pytest.raises(CandidateError):
        cache.make("train", "key", fail)
    assert cache.get("train", "key") is None
    seen: list[str] = []

    def resume(folder: Path) -> Mapping[str, Any]:
        seen.append((folder / "checkpoint").read_text())
        return {}

    cache.make("train", "key", resume)
    assert seen == ["epoch 3"]


def test_what_is_not_to_be_kept_is_computed_again(tmp_path: Path) -> None:
    """An unstable latency is measured anew by the next call."""
    cache, calls = StepCache(tmp_path), []
    for _ in range(2):
        entry = cache.make("measure", "key", lambda _folder: calls.append(1) or {"latency": 1, "keep": False})
        assert entry.values == {"latency": 1}
    assert len(calls) == 2


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    """Pruning keeps what was used last, within the size."""
    cache = StepCache(tmp_path)
    for index, key in enumerate("abc"):
        entry = cache.make("export", key, _write("x" * 1000))
        os.utime(entry.file("entry.json"), (index, index))
    cache.get("export", "a")
    assert cache.prune(2_500) == 1
    assert cache.get("export", "b") is None
    assert cache.get("export", "a") is not None
    assert cache.sizes()["export"][0] == 2


def test_a_full_disk_is_the_machines_fault(tmp_path: Path) -> None:
    """It is one sentence with the folder and the remedy."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(MachineError, match=r"can't be written: .*Free some space"):
        StepCache(blocked / "cache").make("train", "key", _write("x"))


def _hang(folder: Path, started: Any) -> None:
    def make(own: Path) -> Mapping[str, Any]:
        (own / "checkpoint").write_text("epoch 1")
        started.set()
        time.sleep(60)
        return {}

    StepCache(folder).make("train", "key", make)


def test_two_processes_do_not_share_an_unfinished_folder_and_a_killed_one_is_continued(
    tmp_path: Path,
) -> None:
    """Beside a live process a step works in a folder of its own; after a kill it continues in the same."""
    context = multiprocessing.get_context("fork")
    started = context.Event()
    process = context.Process(target=_hang, args=(tmp_path, started))
    process.start()
    assert started.wait(10)
    seen: list[bool] = []

    def look(folder: Path) -> Mapping[str, Any]:
        seen.append((folder / "checkpoint").exists())
        return {"keep": False}

    StepCache(tmp_path).make("train", "key", look)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    StepCache(tmp_path).make("train", "key", look)
    assert seen == [False, True]


def test_equal_inputs_have_equal_fingerprints() -> None:
    """The order of the inputs plays no part; any value does."""
    assert fingerprint(a=1, b=[2.5, "x"]) == fingerprint(b=[2.5, "x"], a=1)
    assert fingerprint(a=1) != fingerprint(a=2)
    assert json.loads(json.dumps(fingerprint(a=Path("x")))) != fingerprint(a=Path("y"))
