"""`mlflow_nas publish`: a model version for devices that pull it."""

from pathlib import Path

from mlflow_nas.api.registry_results import PublishResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import PublishConfig

__all__ = ["publish"]


def publish(
    settings: PublishConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    **options: object,
) -> PublishResult:
    """Offer a version to the devices whose agents pull it, and read what they have reported.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, a version that may not be deployed, or a bucket or key that can't be used.
        RegistryError: there is no such version, or MLflow does not answer.
    """
    chosen = read_settings(PublishConfig, settings, options, config)
    from mlflow_nas.board import runtime_bundle
    from mlflow_nas.deployments import MLFLOW, take_reports
    from mlflow_nas.deployments import publish as offer
    from mlflow_nas.disk import write_whole
    from mlflow_nas.tracking import connect, default_uri

    client = connect(default_uri())
    uri = chosen.model if ":" in chosen.model else f"models:/{chosen.model}@champion"
    manifest = offer(
        client,
        uri,
        to=chosen.to,
        name=chosen.name,
        signing_key=chosen.signing_key,
        threshold=chosen.threshold,
    )
    reports = [] if chosen.to == MLFLOW else take_reports(client, chosen.to, manifest["deployment"])
    program = write_whole(chosen.program, runtime_bundle()) if chosen.program else None
    return PublishResult(manifest=manifest, to=chosen.to, devices=tuple(reports), program=program)
