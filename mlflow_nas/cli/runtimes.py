"""The commands about runtimes."""

from typing import Any

import click

from mlflow_nas import api
from mlflow_nas.cli import formats
from mlflow_nas.cli.options import ConfigCommand
from mlflow_nas.cli.output import run_command
from mlflow_nas.cli.steps import with_steps
from mlflow_nas.config import RuntimesInstallConfig

__all__ = ["runtimes"]


@click.group()
def runtimes() -> None:
    """Install what a runtime needs in an environment of its own."""


@runtimes.command(cls=ConfigCommand, config=RuntimesInstallConfig)
def install(*, as_json: bool, **options: Any) -> None:
    """Build the environment of the converters to TFLite."""
    run_command(
        with_steps(lambda steps: api.runtimes_install(on_step=steps.step, **options)),
        as_json=as_json,
        show=formats.format_runtimes,
    )
