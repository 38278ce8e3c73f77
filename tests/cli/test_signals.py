"""Signals that end a command."""

import os
import signal
import time
import weakref

import pytest

from mlflow_nas.cli.signals import Stopper


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_once(number: signal.Signals) -> None:
    """A second one does not disturb what is released."""
    stopper = Stopper()
    with stopper.listening(), pytest.raises(KeyboardInterrupt):
        _signal(number)
    assert stopper.exit_code == 128 + number


def _signal(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)


class _Finalized:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)


class _Referred:
    pass


def _release(held: list[object]) -> None:
    held.clear()
    time.sleep(5)


def test_a_signal_during_a_finalizer_is_not_lost() -> None:
    """Python ignores what a finalizer raises: the interrupt comes right after it."""
    held: list[object] = [_Finalized()]
    with Stopper().listening(), pytest.raises(KeyboardInterrupt):
        _release(held)


def test_a_signal_during_the_callback_of_a_weak_reference_is_not_lost() -> None:
    """The same for a mapping with weak keys, which cleans itself up."""
    held: list[object] = [_Referred()]
    values = weakref.WeakKeyDictionary({held[0]: _Finalized()})
    with Stopper().listening(), pytest.raises(KeyboardInterrupt):
        _release(held)
    assert not values
