"""One version on one device: preflight, upload, verify, switch; and back."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from typing import Literal, NamedTuple

from mlflow_nas.board import Active, DeployedModels, DeviceBoard, Manifest, get_board
from mlflow_nas.deployments.manifest import describe_session, sign
from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.release import Release
from mlflow_nas.deployments.verify import preflight, refuse_less_accurate, verify
from mlflow_nas.errors import AlreadyExistsError, BoardError, NasError, NotFoundError
from mlflow_nas.types import Device

__all__ = ["Change", "Mode", "check_mode", "deploy_release", "roll_back", "undo", "verify_release"]

Mode = Literal["create", "update", "either"]


class Change(NamedTuple):
    """The active manifest before and after; before is None for a first deployment."""

    before: Manifest | None
    after: Manifest


def deploy_release(
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
        name: of the deployment.
        mode: "create" refuses a name that exists, "update" one that does not.
        options: `force` and `max_regression`.
        measured_on: boards whose measurement counts for the device.
        url: makes the URL from which the device downloads the file; None uploads it.

    Raises:
        NasError: ConfigError, CandidateError, BoardError; the message ends with the active version.
    """
    preflight(release, device, measured_on=measured_on, force=options.force)
    with closing(get_board(device)) as board:
        models = DeployedModels(board)
        active = models.find(name)
        _check_mode(board, name, active, mode)
        if active is not None and not options.force:
            refuse_less_accurate(release, active.manifest, max_drop=options.max_drop)
        with _naming_active(models, board, name), _uploaded(board, release, url) as path:
            verification = verify(board, path, release, active=active, options=options)
            manifest = {
                **release.manifest,
                **describe_session(board),
                "verification": verification,
                "output": {**release.manifest["output"], "score_threshold": options.threshold},
            }
            after = models.install_remote(
                name,
                path,
                manifest,
                sha256=release.sha256,
                signature=sign(manifest, device.signing_key) if device.signing_key else None,
                replaces=active and active.manifest["sha256"],
            )
    return Change(active and active.manifest, after)


def check_mode(device: Device, name: str, mode: Mode) -> None:
    """Refuse to create what exists, or to update what does not, before anything is downloaded.

    Raises:
        AlreadyExistsError, NotFoundError: the other mode is needed; BoardError: the device can't be reached.
    """
    if mode != "either":
        with closing(get_board(device)) as board:
            _check_mode(board, name, DeployedModels(board).find(name), mode)


def verify_release(device: Device, release: Release, *, name: str, options: Options) -> Manifest:
    """Run a version's checks on a device and leave it as it is; the manifest that a deployment would store.

    Raises:
        NasError: as `deploy_release`.
    """
    preflight(release, device, measured_on={device.name}, force=options.force)
    with closing(get_board(device)) as board, board.client.staged(release.file) as (path,):
        verification = verify(board, path, release, active=None, options=options)
    return {**release.manifest, "name": name, "sha256": release.sha256, "verification": verification}


def roll_back(device: Device, name: str) -> Change:
    """Make the previous version of `name` active again on a device.

    Raises:
        BoardError: the device can't be reached, the previous file is damaged, or `activate` or `health`
            failed with it; the message ends with the active version.
        ConfigError: there is no previous version.
    """
    with closing(get_board(device)) as board:
        models = DeployedModels(board)
        active = models.find(name)
        with _naming_active(models, board, name):
            return Change(active and active.manifest, models.rollback(name))


def undo(device: Device, name: str, change: Change) -> None:
    """Revert a change of `deploy_release`: to the previous version, or to none.

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
        raise AlreadyExistsError(f"{board.name} already has a deployment {name!r}: use update.")
    if mode == "update" and active is None:
        raise NotFoundError(f"{board.name} has no deployment {name!r}: use create.")


@contextmanager
def _uploaded(board: DeviceBoard, release: Release, url: Callable[[], str] | None) -> Iterator[str]:
    """Path of the version's file on the device, pushed or pulled."""
    if url is None:
        with board.client.staged(release.file) as (path,):
            yield path
    else:
        size_bytes = release.file.stat().st_size
        with board.client.fetched(url(), sha256=release.sha256, size_bytes=size_bytes) as path:
            yield path


@contextmanager
def _naming_active(models: DeployedModels, board: DeviceBoard, name: str) -> Iterator[None]:
    """Append the active version to the message of an error."""
    try:
        yield
    except NasError as error:
        raise type(error)(f"{str(error).rstrip('.')}. {_active_now(models, board, name)}") from error


def _active_now(models: DeployedModels, board: DeviceBoard, name: str) -> str:
    try:
        active = models.find(name)
    except BoardError:
        return f"The active version on {board.name} is unknown: query it later with mlflow deployments get."
    if active is None:
        return f"Nothing is active as {name} on {board.name}."
    pending = "" if active.manifest.get("confirmed", True) else ", not yet confirmed: query it again later"
    return f"Version {active.manifest.get('version')} is active as {name} on {board.name}{pending}."
