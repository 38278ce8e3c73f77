"""One version to one device: refuse, send, prove there, switch."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from typing import Literal, NamedTuple

from mlflow_nas.board import Active, DeployedModels, DeviceBoard, Manifest, get_board
from mlflow_nas.deployments.gate import refuse_unfit
from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.proof import prove
from mlflow_nas.deployments.release import Release
from mlflow_nas.errors import BoardError, ConfigError, NasError
from mlflow_nas.types import Device

__all__ = ["Change", "Mode", "bring", "roll_back", "take_back"]

Mode = Literal["create", "update", "either"]


class Change(NamedTuple):
    """The active manifest before and after; before is None where nothing was deployed."""

    before: Manifest | None
    after: Manifest


def bring(
    device: Device,
    release: Release,
    *,
    name: str,
    mode: Mode,
    options: Options,
    measured_on: Collection[str],
    url: Callable[[], str] | None = None,
) -> Change:
    """Make a version the active one of `name` on a device.

    Args:
        device: of the inventory.
        release: the version and its file.
        name: on the device.
        mode: "create" refuses a name that exists, "update" one that does not.
        options: how strict this is.
        measured_on: boards whose measurement counts for the device.
        url: makes the address that the device fetches the file from; None copies it there.

    Raises:
        NasError: ConfigError, CandidateError, BoardError; the sentence ends with what is active now.
    """
    refuse_unfit(release, device, measured_on=measured_on, force=options.force)
    with closing(get_board(device)) as board:
        models = DeployedModels(board)
        active = models.find(name)
        _check_mode(board, name, active, mode)
        with _saying_what_is_active(models, board, name), _sent(board, release, url) as path:
            proof = prove(board, path, release, active=active, options=options)
            after = models.install_there(
                name,
                path,
                {**release.manifest, "proof": proof},
                sha256=release.sha256,
                replaces=active and active.manifest["sha256"],
            )
    return Change(active and active.manifest, after)


def roll_back(device: Device, name: str) -> Change:
    """Make the previous version of `name` active again on a device.

    Raises:
        BoardError: the device can't be reached, the previous file is damaged, or the application is not well
            with it; the sentence ends with what is active now.
        ConfigError: there is no previous version.
    """
    with closing(get_board(device)) as board:
        models = DeployedModels(board)
        active = models.find(name)
        with _saying_what_is_active(models, board, name):
            return Change(active and active.manifest, models.rollback(name))


@contextmanager
def _sent(board: DeviceBoard, release: Release, url: Callable[[], str] | None) -> Iterator[str]:
    """The version's file on the device, pushed or pulled."""
    if url is None:
        with board.staged(release.file) as (path,):
            yield path
    else:
        size_bytes = release.file.stat().st_size
        with board.pulled(url(), sha256=release.sha256, size_bytes=size_bytes) as path:
            yield path


def take_back(device: Device, name: str, change: Change) -> None:
    """Undo what `bring` has changed: the version before, or none.

    Raises:
        NasError: as `roll_back`.
    """
    if change.before is None:
        with closing(get_board(device)) as board:
            DeployedModels(board).delete(name)
    elif _version(change.before) != _version(change.after):
        roll_back(device, name)


def _version(manifest: Manifest) -> tuple[object, ...]:
    return manifest["sha256"], manifest.get("model"), manifest.get("version")


def _check_mode(board: DeviceBoard, name: str, active: Active | None, mode: Mode) -> None:
    if mode == "create" and active is not None:
        raise ConfigError(f"{board.name} already has a deployment {name!r}: use update.")
    if mode == "update" and active is None:
        raise ConfigError(f"{board.name} has no deployment {name!r}: use create.")


@contextmanager
def _saying_what_is_active(models: DeployedModels, board: DeviceBoard, name: str) -> Iterator[None]:
    try:
        yield
    except NasError as error:
        said = str(error).rstrip(".")
        raise type(error)(f"{said}. {_active_now(models, board, name)}") from error


def _active_now(models: DeployedModels, board: DeviceBoard, name: str) -> str:
    try:
        active = models.find(name)
    except BoardError:
        return f"{board.name} can't be asked what is active now: ask it with mlflow deployments get."
    if active is None:
        return f"Nothing is active as {name} on {board.name}."
    open_end = "" if active.manifest.get("confirmed", True) else ", not yet confirmed: ask again later"
    return f"Version {active.manifest.get('version')} is active as {name} on {board.name}{open_end}."
