"""`mlflow_nas boards` and `mlflow_nas doctor`: the devices, and checks of one."""

from dataclasses import asdict
from pathlib import Path

from mlflow_nas.api.results import BoardsResult, DoctorResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import BoardsConfig, DoctorConfig, find_device, load_devices

__all__ = ["boards", "doctor"]


def boards(
    settings: BoardsConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> BoardsResult:
    """List the devices of the inventory with reachability and facts.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, or the inventory.
    """
    chosen = read_settings(BoardsConfig, settings, options, config)
    from mlflow_nas.board import device_status

    return BoardsResult(boards=tuple(device_status(load_devices(chosen.inventory).values())))


def doctor(
    settings: DoctorConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> DoctorResult:
    """Check a device: what is missing there, and the command that installs or fixes it.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, or the inventory.
        BoardError: the connection was lost midway.
    """
    chosen = read_settings(DoctorConfig, settings, options, config)
    from mlflow_nas.board import check_device

    checks = check_device(find_device(chosen.board.name, chosen.board.inventory))
    return DoctorResult(
        board=chosen.board.name,
        ready=all(check.state != "error" for check in checks),
        checks=tuple(asdict(check) for check in checks),
    )
