"""`mlflow_nas runtimes install`: the tools of a runtime that need an environment of their own."""

from collections.abc import Callable
from pathlib import Path

from mlflow_nas.api.results import RuntimesResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import RuntimesInstallConfig
from mlflow_nas.types import Device

__all__ = ["runtimes_install"]


def runtimes_install(
    settings: RuntimesInstallConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    on_step: Callable[[str], None] = lambda _step: None,
    **options: object,
) -> RuntimesResult:
    """Build the environment of the converters to TFLite, once; nothing where it is complete.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        on_step: called with the name of each step.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting; venv or pip failed; or a package of the runtime's extra is missing here.
    """
    chosen = read_settings(RuntimesInstallConfig, settings, options, config)
    from mlflow_nas.runtime import get_runtime, install_converters

    folder = install_converters(on_step)
    device = Device(name="local", transport="local", directory="", runtime=chosen.runtime)
    return RuntimesResult(
        runtime=chosen.runtime, folder=folder, versions=dict(get_runtime(device).identity())
    )
