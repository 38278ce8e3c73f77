"""What another engine has to offer: three methods."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Protocol

__all__ = ["LOST", "Engine", "Outcome"]


class Outcome(Enum):
    """The end of a call that returned nothing."""

    LOST = "lost"


LOST = Outcome.LOST
"""The call's process or machine died, or the engine ended it."""


class Engine(Protocol):
    """Runs calls in processes of its own, each with the resources that a trial asks for.

    A call evaluates one trial and takes minutes. It is pickled with its arguments, returns a value that can
    be pickled, and never raises; the process may be used for further calls. The study's storage coordinates
    the trials: an engine knows nothing of them, and a call that is lost costs none.
    """

    def start(self, call: Callable[[], Any]) -> object:
        """Begin a call as soon as there are resources for it; a handle that is hashable."""

    def wait(self, timeout_s: float) -> Mapping[object, Any]:
        """Wait until a call has ended, or for a time.

        Returns:
            Handle to what the call returned, or `LOST`; each call that has ended once.
        """

    def stop(self) -> None:
        """Interrupt the calls that have not ended, as Ctrl-C does; the engine can be used again."""
