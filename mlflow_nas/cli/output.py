"""Standard output carries the result, standard error everything else."""

import contextlib
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator

import click

from mlflow_nas.config import keep_mlflow_quiet
from mlflow_nas.errors import ConfigError, NasError

__all__ = ["result_of"]

_CHATTY = ("pytorch_lightning", "lightning", "alembic", "mlflow", "faster_coco_eval", "torch", "httpx")


def result_of(
    work: Callable[[], dict[str, object]], *, as_json: bool, show: Callable[[dict[str, object]], str]
) -> dict[str, object]:
    """Run a command, print its result, in words or as JSON, and return it.

    An error is one sentence and an exit code.

    Exit codes: 2 for the user's mistakes, 1 for everything else that is foreseen.
    """
    with _quiet():
        try:
            result = work()
        except NasError as error:
            click.echo(f"mlflow_nas: {error}", err=True)
            sys.exit(2 if isinstance(error, ConfigError) else 1)
        except KeyboardInterrupt:
            click.echo("mlflow_nas: interrupted; the same command continues the study.", err=True)
            sys.exit(130)
    click.echo(json.dumps(result, default=str) if as_json else show(result))
    return result


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What libraries print goes to standard error, and only their warnings."""
    keep_mlflow_quiet()
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries' advice to their own developers
        yield
