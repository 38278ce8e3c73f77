"""The steps of one command on standard error, where that is a terminal."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Steps", "with_steps"]

Outcome = TypeVar("Outcome")


class Steps:
    """A line per step with its time; the last one is running. Elsewhere than on a terminal it is silent.

    Args:
        console: of standard error; None for a new one.
    """

    def __init__(self, console: Console | None = None) -> None:
        shown = console or Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn("line", finished_text=" "),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=shown,
            disable=not shown.is_interactive,
        )
        self._task: TaskID | None = None
        self._name = ""

    def __enter__(self) -> Self:
        self._progress.start()
        self.step("start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end_step()
        self._progress.stop()

    def step(self, name: str) -> None:
        """A step begins, and the one before it has ended."""
        self._end_step()
        self._name, self._task = name, self._progress.add_task(name, total=1)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002 - of the protocol
        """An epoch of the current step has ended."""
        if self._task is not None:
            self._progress.update(self._task, description=f"{self._name}, {number} epochs")

    def _end_step(self) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=1)


def with_steps(work: Callable[[Steps], Outcome]) -> Callable[[], Outcome]:
    """The work with its steps shown while it runs."""

    def run() -> Outcome:
        with Steps() as steps:
            return work(steps)

    return run
