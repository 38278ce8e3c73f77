import logging
import multiprocessing
import os
from pathlib import Path

import pytest

from mlflow_nas.tracking.outbox import Outbox, abandoned


def _contents(box: Outbox) -> list[object]:
    return [entry.event["n"] for entry in box.entries()]


def _die(box: Outbox) -> None:
    """The process ends without a word: only its lock is gone."""
    if len(box) == 0:
        box.append({"n": 0})
    box.close()


def test_events_come_back_in_their_order(tmp_path: Path) -> None:
    """The next process gets what a dead one left, with its context, the oldest first."""
    box = Outbox(tmp_path / "1", {"study": "pf"})
    for number in range(12):
        box.append({"n": number})
    _die(box)
    (adopted,) = abandoned(tmp_path, set())
    assert (_contents(adopted), adopted.context) == (list(range(12)), {"study": "pf"})


def test_the_outbox_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    """Its lock is held; nobody else delivers its events."""
    box = Outbox(tmp_path / "1", {})
    box.append({"n": 0})
    assert list(abandoned(tmp_path, set())) == []
    box.close()


def test_files_outlive_their_originals(tmp_path: Path) -> None:
    """What is attached is kept under its own name until the event is delivered."""
    model = tmp_path / "model.onnx"
    model.write_bytes(b"network")
    box = Outbox(tmp_path / "box" / "1", {})
    box.append({"n": 0}, [model])
    model.unlink()
    (entry,) = box.entries()
    assert [(path.name, path.read_bytes()) for path in entry.files] == [("model.onnx", b"network")]
    box.remove(entry.number)
    assert not entry.files[0].exists()


def test_what_a_kill_left_half_written_is_passed_over(tmp_path: Path) -> None:
    """Temporary and torn files are no events, the whole ones are."""
    box = Outbox(tmp_path / "1", {})
    for number in range(3):
        box.append({"n": number})
    (tmp_path / "1" / "00000002.json").write_text('{"n": ')
    (tmp_path / "1" / "00000004.json").write_text('{"n": 3')
    _die(box)
    (adopted,) = abandoned(tmp_path, set())
    assert _contents(adopted) == [0, 2]
    assert len(adopted) == 2


def _fill(folder: Path) -> Outbox:
    """Three events, the second one in memory."""
    box = Outbox(folder / "1", {})
    for number in range(3):
        box.append({"n": number}, in_memory=number == 1)
    return box


def _fill_and_die(folder: Path) -> None:
    _fill(folder)
    os._exit(1)


def test_an_event_in_memory_is_stored_at_the_end(tmp_path: Path) -> None:
    """In its place; a kill loses it, and it alone."""
    box = _fill(tmp_path / "closed")
    assert not (tmp_path / "closed/1/00000002.json").exists()
    assert _contents(box) == [0, 1, 2]
    box.close()
    killed = multiprocessing.get_context("fork").Process(target=_fill_and_die, args=(tmp_path / "killed",))
    killed.start()
    killed.join()
    left = {folder: next(abandoned(tmp_path / folder, set())) for folder in ("closed", "killed")}
    assert {folder: _contents(box) for folder, box in left.items()} == {
        "closed": [0, 1, 2],
        "killed": [0, 2],
    }


def test_a_delivered_outbox_disappears(tmp_path: Path) -> None:
    """Nothing is left in the folder, neither its lock."""
    box = Outbox(tmp_path / "box" / "1", {})
    box.append({"n": 0})
    box.remove(next(iter(box.entries())).number)
    box.close()
    assert list((tmp_path / "box").iterdir()) == []


def test_a_full_disk_drops_events_with_one_warning(full_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is raised and nothing half-written stays; with space again, later events are kept."""
    ballast = full_disk / "ballast"
    box = Outbox(full_disk / "box" / "1", {})
    box.append({"n": 0})
    ballast.write_bytes(b"x" * 200_000)
    with caplog.at_level(logging.WARNING):
        for number in range(1, 6):
            box.append({"n": number, "text": "x" * 100_000})
    ballast.unlink()
    box.append({"n": 6})
    assert _contents(box) == [0, 6]
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text


def test_a_folder_that_cannot_be_made_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The event is dropped, and what to do is in the warning."""
    (tmp_path / "file").write_text("")
    box = Outbox(tmp_path / "file" / "1", {})
    box.append({"n": 0})
    box.close()
    assert len(box) == 0
    assert "set MLFLOW_NAS_WORK to another folder" in caplog.text
