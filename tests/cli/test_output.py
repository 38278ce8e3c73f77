"""How commands end when output, disk, memory or the user are gone; each in a process of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PROGRAM = """
import errno, os, sys, time
from mlflow_nas import api
from mlflow_nas.api import DoctorResult

def doctor(**options):
    {body}
    check = {{"state": "ok", "name": "n", "found": "x" * 200_000, "remedy": ""}}
    return DoctorResult(board="local", ready=True, checks=(check,))

api.doctor = doctor
from mlflow_nas.cli import main
main(prog_name="mlflow_nas")
"""


def _command(body: str = "pass", *words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(body=body), *(words or ("doctor",))]


def _shell(line: str, body: str = "pass", *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as `"$@"` of a shell line."""
    command = ["bash", "-c", f"set -o pipefail; {line}", "bash", *_command(body, *words)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("words", [("doctor",), ("doctor", "--json")])
def test_a_reader_that_is_gone_ends_the_command_quietly(words: tuple[str, ...]) -> None:
    """As SIGPIPE would: `| head -1` is no error."""
    done = _shell('"$@" | head -c 1 > /dev/null', "pass", *words)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", [("doctor",), ("doctor", "--json"), ("search", "--help")])
def test_a_full_disk_under_the_output_is_one_sentence(words: tuple[str, ...]) -> None:
    """The result is lost, and the exit code tells it."""
    done = _shell('"$@" > /dev/full', "pass", *words)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("mlflow_nas: the ")
    assert "can't be written" in done.stderr
    assert "No space left on device" in done.stderr


def test_a_closed_output_is_refused_before_anything_is_done() -> None:
    """A file that is opened later would become the standard output."""
    done = _shell('"$@" >&-', "sys.stderr.write('worked')")
    assert (done.returncode, done.stderr) == (
        1,
        "mlflow_nas: standard output is closed: send it to a file or to /dev/null.\n",
    )


def test_other_closed_streams_are_replaced() -> None:
    """What is opened then has another number."""
    done = _shell(
        '"$@" 2>&- <&- | tail -c 16', "f = open('/dev/null'); assert f.fileno() > 2; print('chatter')"
    )
    assert (done.returncode, done.stdout) == (0, "local is ready.\n")


def test_a_reader_of_errors_that_is_gone_ends_the_command_quietly() -> None:
    """`2>&1 | head -1` of a long search."""
    body = "[(print('x' * 1000, flush=True), time.sleep(.001)) for _ in range(2000)]"
    done = _shell('"$@" 2>&1 >/dev/null | head -c 1 > /dev/null', body)
    assert done.returncode == 141


WAIT = """
    try:
        print("ready", flush=True)
        time.sleep(30)
    finally:
        time.sleep(.3)
        print("released", flush=True)
"""


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ((signal.SIGTERM,), 143),
        ((signal.SIGHUP,), 129),
        ((signal.SIGINT,) * 5, 130),
        ((signal.SIGHUP, signal.SIGTERM, signal.SIGINT), 129),
    ],
)
def test_a_signal_releases_what_runs(sent: tuple[signal.Signals, ...], code: int) -> None:
    """Once, in order, whatever follows; the exit code is the first signal's."""
    process = subprocess.Popen(_command(WAIT.strip()), cwd=PROJECT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    for one in sent:
        process.send_signal(one)
        time.sleep(0.03)
    rest = process.communicate(timeout=20)[1]
    assert process.returncode == code
    assert rest == "released\nmlflow_nas: interrupted; rerun the same command: a study continues.\n"


def test_nohup_stays_nohup() -> None:
    """A hang-up that the caller ignores is ignored."""
    body = "os.kill(os.getpid(), 1); time.sleep(.1)"
    done = _shell("trap '' HUP; \"$@\" | tail -c 16", body)
    assert (done.returncode, done.stdout) == (0, "local is ready.\n")
