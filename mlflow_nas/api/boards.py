"""`mlflow_nas boards` and `mlflow_nas doctor`: what devices there are, and what they lack."""

from dataclasses import asdict
from pathlib import Path

from mlflow_nas.config import BoardsConfig, DoctorConfig, find_device, load_config, load_devices

__all__ = ["boards", "doctor"]


def boards(*, config: Path | None = None, **options: object) -> dict[str, object]:
    """List the devices of the inventory with reachability and facts.

    Args:
        config: a YAML file with options.
        options: fields of `mlflow_nas.config.BoardsConfig`.

    Returns:
        {"boards": a row per device, as `mlflow_nas.board.survey` makes them}.

    Raises:
        ConfigError: an option, or the inventory.
    """
    chosen = load_config(BoardsConfig, options, file=config)
    from mlflow_nas.board import survey

    return {"boards": survey(load_devices(chosen.devices).values())}


def doctor(*, config: Path | None = None, **options: object) -> dict[str, object]:
    """Say what is missing on a device and the command that mends it.

    Args:
        config: a YAML file with options.
        options: fields of `mlflow_nas.config.DoctorConfig`.

    Returns:
        board, ready (no check ended with an error), checks.

    Raises:
        ConfigError: an option, or the inventory; BoardError: the connection was lost midway.
    """
    chosen = load_config(DoctorConfig, options, file=config)
    from mlflow_nas.board import examine

    checks = examine(find_device(chosen.board, chosen.devices))
    ready = all(check.state != "error" for check in checks)
    return {"board": chosen.board, "ready": ready, "checks": [asdict(check) for check in checks]}
