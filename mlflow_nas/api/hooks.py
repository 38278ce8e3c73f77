"""`mlflow_nas watch` and `mlflow_nas webhook`: promotions and deployments without a user."""

import logging
import threading
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.api.registry_results import HookResult, WatchResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import (
    WatchConfig,
    WebhookConfig,
    WebhookInstallConfig,
    WebhookServeConfig,
    webhook_secret,
)

if TYPE_CHECKING:
    from mlflow_nas.registry import Change

__all__ = ["watch", "webhook_install", "webhook_remove", "webhook_serve", "webhook_test"]

_log = logging.getLogger(__name__)


def watch(
    settings: WatchConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    stop: threading.Event | None = None,
    **options: object,
) -> WatchResult:
    """Promote, and deploy each new champion, whenever the registry has changed; on any MLflow.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        stop: ends the loop; None for a signal.
        options: settings by option or dotted name.

    Returns:
        What the last check did.

    Raises:
        ConfigError: a setting. With `once` also RegistryError and BoardError; else they are logged, and the
            check is repeated.
    """
    chosen = read_settings(WatchConfig, settings, options, config)
    from mlflow_nas.registry import watch as repeat

    last = WatchResult(model=chosen.model, changes=(), notes=(), deployed={})

    def check() -> None:
        nonlocal last
        last = _act(chosen, "watch")

    if chosen.once:
        check()
    else:
        repeat(check, interval_s=chosen.interval_s, stop=stop or threading.Event())
    return last


def webhook_serve(
    settings: WebhookServeConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> HookResult:
    """Receive the MLflow server's registry events: promote, and deploy each new champion.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, or no secret in MLFLOW_NAS_WEBHOOK_SECRET.
    """
    chosen = read_settings(WebhookServeConfig, settings, options, config)
    from mlflow_nas.registry import Receiver, serve_webhook

    def act(_: str) -> "Collection[Change]":
        return _act(chosen, "webhook").changes

    receiver = Receiver(secret=webhook_secret(), models=[chosen.model], act=act)
    serve_webhook(receiver, host=chosen.host, port=chosen.port)
    return HookResult(message="The receiver has ended.")


def webhook_install(
    settings: WebhookInstallConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> HookResult:
    """Make the MLflow server send its registry events to a receiver.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, no secret, or MLflow is a database.
        RegistryError: the server refuses.
    """
    chosen = read_settings(WebhookInstallConfig, settings, options, config)
    from mlflow_nas.registry import install_webhook
    from mlflow_nas.tracking import connect, default_uri

    client = connect(default_uri())
    made = install_webhook(client, name=chosen.name, url=chosen.url, secret=webhook_secret())
    return HookResult(
        message=f"Webhook {chosen.name} ({made}) sends registry events to {chosen.url}. The server "
        "notices it within a minute (MLFLOW_WEBHOOK_CACHE_TTL)."
    )


def webhook_test(
    settings: WebhookConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> HookResult:
    """Have the MLflow server send a test event to the receiver.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, or there is no such webhook.
        RegistryError: the receiver did not accept the event.
    """
    chosen = read_settings(WebhookConfig, settings, options, config)
    from mlflow_nas.registry import check_webhook
    from mlflow_nas.tracking import connect, default_uri

    return HookResult(message=check_webhook(connect(default_uri()), chosen.name))


def webhook_remove(
    settings: WebhookConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> HookResult:
    """Delete the webhook from the MLflow server.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting.
        RegistryError: the server refuses.
    """
    chosen = read_settings(WebhookConfig, settings, options, config)
    from mlflow_nas.registry import remove_webhook
    from mlflow_nas.tracking import connect, default_uri

    count = remove_webhook(connect(default_uri()), chosen.name)
    return HookResult(message=f"Webhook {chosen.name} is removed." if count else "There was no such webhook.")


def _act(config: WatchConfig | WebhookServeConfig, trigger: str) -> WatchResult:
    """One check: promote, then deploy what is new."""
    from mlflow_nas.deployments import follow
    from mlflow_nas.registry import reconcile
    from mlflow_nas.tracking import connect, default_uri

    client = connect(default_uri())
    found = reconcile(client, config.model, trigger=trigger)
    deployed = {}
    if config.deploy is not None:
        device = config.deploy.removeprefix("device=")
        deployed = follow(client, config.model, device=device, devices=config.inventory, trigger=trigger)
    for note in found.notes if found.changes else ():
        _log.warning("%s: %s", config.model, note)
    for device, manifest in deployed.items():
        _log.warning("%s has version %s of %s.", device, manifest["version"], config.model)
    return WatchResult(model=config.model, changes=found.changes, notes=found.notes, deployed=deployed)
