"""The commands about webhooks."""

from typing import Any

import click

from mlflow_nas import api
from mlflow_nas.cli import formats
from mlflow_nas.cli.options import ConfigCommand
from mlflow_nas.cli.output import run_command
from mlflow_nas.config import WebhookConfig, WebhookInstallConfig, WebhookServeConfig

__all__ = ["webhook"]


@click.group()
def webhook() -> None:
    """Receive the registry events of an MLflow server: promote, and deploy each new champion."""


@webhook.command(cls=ConfigCommand, config=WebhookServeConfig)
def serve(*, as_json: bool, **options: Any) -> None:
    """Run the receiver; the secret is MLFLOW_NAS_WEBHOOK_SECRET."""
    run_command(lambda: api.webhook_serve(**options), as_json=as_json, show=formats.format_hook)


@webhook.command(cls=ConfigCommand, config=WebhookInstallConfig)
def install(*, as_json: bool, **options: Any) -> None:
    """Make the MLflow server send its registry events to the receiver."""
    run_command(lambda: api.webhook_install(**options), as_json=as_json, show=formats.format_hook)


@webhook.command(cls=ConfigCommand, config=WebhookConfig)
def test(*, as_json: bool, **options: Any) -> None:
    """Have the MLflow server send a test event."""
    run_command(lambda: api.webhook_test(**options), as_json=as_json, show=formats.format_hook)


@webhook.command(cls=ConfigCommand, config=WebhookConfig)
def remove(*, as_json: bool, **options: Any) -> None:
    """Delete the webhook from the MLflow server."""
    run_command(lambda: api.webhook_remove(**options), as_json=as_json, show=formats.format_hook)
