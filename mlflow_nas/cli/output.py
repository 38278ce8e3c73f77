"""Standard output carries the result, standard error everything else; an error is one sentence and a code."""

import contextlib
import errno
import json
import logging
import os
import select
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol, TypeVar

import click

from mlflow_nas.cli.signals import Stopper
from mlflow_nas.config import keep_mlflow_quiet
from mlflow_nas.errors import ConfigError, NasError
from mlflow_nas.redact import redact

__all__ = ["LogHandler", "reserve_streams", "run_command", "write_result"]

BROKEN_PIPE = 141
"""Exit code of a process that SIGPIPE ended."""

_CHATTY = ("pytorch_lightning", "lightning", "alembic", "mlflow", "faster_coco_eval", "torch", "httpx")
_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}


class LogHandler(logging.StreamHandler[Any]):
    """Writes to what standard error is at that moment: a display shows messages above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        self.setStream(sys.stderr)
        super().emit(record)


class JsonResult(Protocol):
    """A result that can be printed as JSON."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""


Outcome = TypeVar("Outcome", bound=JsonResult)


def run_command(work: Callable[[], Outcome], *, as_json: bool, show: Callable[[Outcome], str]) -> Outcome:
    """Run a command, print its result as text or as JSON, and return it.

    Exit codes: 2 for the user's mistakes, 1 for everything else that is foreseen, 128 + N after signal N,
    141 when the reader of the output is gone. What is not foreseen is a bug and keeps its traceback.
    """
    stopper = Stopper()
    with stopper.listening(), _quiet():
        try:
            result = work()
        except BaseException as error:
            sentence, code = _explain(error, stopper)
            if sentence is None:
                raise
            _fail(sentence, code)
    write_result(json.dumps(result.as_json(), default=str) if as_json else show(result))
    return result


def _explain(error: BaseException, stopper: Stopper) -> tuple[str | None, int]:
    """The sentence and the exit code; None for a bug."""
    found: tuple[str | None, int] = None, 1
    match error:
        case NasError():
            found = str(error), 2 if isinstance(error, ConfigError) else 1
        case KeyboardInterrupt():
            found = "interrupted; rerun the same command: a study continues.", stopper.exit_code
        case SystemExit():
            text = f"a file of yours, such as a search space, ended the program: SystemExit({error.code!r})"
            found = f"{text}; remove that call and rerun the command.", 1
        case MemoryError():
            found = "this machine has too little memory; end other programs and rerun the command.", 1
        case BrokenPipeError() if _is_broken(sys.stderr):
            found = "", BROKEN_PIPE
        case OSError() if error.errno in _OF_THE_MACHINE:
            place = f": {error.filename}" if error.filename else ""
            found = f"{error.strerror}{place}; fix this and rerun the command.", 1
    return found


def write_result(text: str) -> None:
    """Write to standard output; a reader that is gone or a full disk ends the process without a traceback."""
    try:
        _write_all(sys.stdout, f"{text}\n")
    except BrokenPipeError:
        _drop(sys.stdout)
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        _drop(sys.stdout)
        _fail(f"the result can't be written to standard output: {error.strerror}; the command has ended.", 1)


def reserve_streams() -> None:
    """Refuse a closed standard output, and replace other closed streams.

    Otherwise a file that is opened later gets the stream's number, and what libraries print goes into it.
    """
    closed = [number for number in range(3) if not _is_open(number)]
    for number in closed:
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - it lives as long as the process
    if 1 in closed:
        _fail("standard output is closed: send it to a file or to /dev/null.", 1)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _is_broken(stream: Any) -> bool:
    """Whether the reader of a pipe is gone."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):  # no file behind it
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _write_all(stream: Any, text: str) -> None:
    """Write and flush; an unbuffered stream (PYTHONUNBUFFERED) takes a part at a time."""
    rest = memoryview(text.encode(stream.encoding or "utf-8", "backslashreplace"))
    while rest:
        rest = rest[stream.buffer.write(rest) or 0 :]
    stream.flush()


def _drop(stream: Any) -> None:
    """Send what is still buffered nowhere: the interpreter flushes it as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fail(sentence: str, code: int) -> NoReturn:
    if sentence:
        with contextlib.suppress(OSError):
            click.echo(f"mlflow_nas: {redact(sentence)}", err=True)
    else:
        _drop(sys.stderr)
    sys.exit(code)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What libraries print goes to standard error, and only their warnings."""
    keep_mlflow_quiet()
    logging.basicConfig(
        level=logging.WARNING, handlers=[LogHandler()], format="%(levelname)s %(name)s: %(message)s"
    )
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries' advice to their own developers
        yield
