"""The switch from one version to another, and back.

A version is confirmed when the device's commands `activate` and `health` have succeeded with it. Everything
that a way back needs is on the disk before the switch: with a full disk, too, the way back is one rename.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlflow_nas.board.runtime.activate import activate, check_health
from mlflow_nas.board.runtime.failure import Answer, Failure
from mlflow_nas.board.runtime.files import is_whole, sweep, sync, verify, write_json
from mlflow_nas.board.runtime.lock import exclusive
from mlflow_nas.board.runtime.session import load
from mlflow_nas.board.runtime.store import MANIFEST, SCHEMA, folder_of, model_file, read_manifest

__all__ = ["ANY_VERSION", "install", "rollback"]

ANY_VERSION = "any"


def install(
    root: str,
    name: str,
    file: Answer,
    manifest: Answer,
    session: Answer,
    lock: Answer,
    activation: Answer,
    replaces: str | None = ANY_VERSION,
    passages: Sequence[str] = (),
) -> Answer:
    """Verify, try and place the staged file, then make it the active version of NAME; keep the one before.

    Args:
        root: folder of the deployed models.
        name: of the deployment.
        file: `path`, `sha256`, and `max_bytes` that it may have, None for any.
        manifest: what is kept beside it.
        session: how it runs, as `load` takes it.
        lock: how the device is held, as `exclusive` takes it.
        activation: the commands `activate` and `health`, each a list of words, with `activate_s`, `health_s`.
        replaces: hash of the version that must be active now, None for none, "any" for whatever.
        passages: folders of files on their way, in which nothing of yesterday is wanted.
    """
    folder, source, sha256 = folder_of(root, name), Path(file["path"]), file["sha256"]
    with exclusive(**lock):
        for passage in passages:
            sweep(Path(passage))
        active = read_manifest(folder)
        _refuse_other(name, active, replaces)
        _refuse_large(source, file["max_bytes"])
        verify(source, sha256)
        load(str(source), **{**session, "cores": ()})  # what `activate` starts must not inherit the cores
        entry = {**manifest, "schema": SCHEMA, "name": name, "sha256": sha256}
        same = active is not None and _identity(active) == _identity(entry)
        previous = active and active["previous"] if same else _fallback(folder, active)
        try:
            _place(source, folder, sha256)
            return _switch(folder, {**entry, "previous": previous}, active, activation)
        finally:
            _tidy(folder)


def rollback(root: str, name: str, lock: Answer, activation: Answer) -> Answer:
    """Make the previous version of NAME active, after verifying its file; the active one becomes previous."""
    folder = folder_of(root, name)
    with exclusive(**lock):
        active = read_manifest(folder)
        previous = active and active["previous"]
        if not active or not previous:
            raise Failure(
                "request", f"{name} has no previous version on the device: deploy the version you want"
            )
        verify(model_file(folder, previous), previous["sha256"])
        try:
            return _switch(folder, {**previous, "previous": _fallback(folder, active)}, active, activation)
        finally:
            _tidy(folder)


def _identity(manifest: Answer) -> tuple[object, ...]:
    return manifest["sha256"], manifest.get("model"), manifest.get("version")


def _refuse_other(name: str, active: Answer | None, expected: str | None) -> None:
    found = active and active["sha256"]
    if expected not in (ANY_VERSION, found):
        raise Failure(
            "device",
            f"{name} was changed by another deployment meanwhile (sha256 {found}, not {expected}): repeat",
        )


def _refuse_large(file: Path, max_bytes: int | None) -> None:
    size = file.stat().st_size
    if max_bytes is not None and size > max_bytes:
        raise Failure("request", f"the model has {size} bytes, the device's max_model_bytes is {max_bytes}")


def _place(source: Path, folder: Path, sha256: str) -> None:
    """The file under its hash, on the disk when this returns."""
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    sync(source)
    source.replace(models / f"{sha256}.onnx")
    for changed in (models, folder, folder.parent):
        sync(changed)


def _fallback(folder: Path, active: Answer | None) -> Answer | None:
    """What a rollback would lead to: the active version if it is confirmed and whole, else its previous."""
    if active is None:
        return None
    if active.get("confirmed", True) and is_whole(model_file(folder, active), active["sha256"]):
        return {**active, "previous": None}
    previous: Answer | None = active["previous"]
    return previous


def _switch(folder: Path, manifest: Answer, active: Answer | None, activation: Answer) -> Answer:
    """One atomic rename, the device's commands, and a second rename that confirms or goes back."""
    confirmed = {**manifest, "confirmed": True}
    fresh = write_json(folder / f"{MANIFEST}.new", {**manifest, "confirmed": False})
    proven = write_json(folder / f"{MANIFEST}.confirmed", confirmed)
    before = write_json(folder / f"{MANIFEST}.before", active) if active else None
    model = model_file(folder, manifest)
    try:
        if activation["activate"] or activation["health"]:
            _rename(fresh, folder)
            activate(activation["activate"], model, manifest, activation["activate_s"])
            check_health(activation["health"], model, manifest, activation["health_s"])
        _rename(proven, folder)
    except (OSError, Failure) as error:
        raise Failure("device", f"{error}. {_back(folder, before, active, activation)}") from error
    return confirmed


def _rename(source: Path, folder: Path) -> None:
    source.replace(folder / MANIFEST)
    sync(folder)


def _back(folder: Path, before: Path | None, active: Answer | None, activation: Answer) -> str:
    """Make the version before active again; what to say of it."""
    if before is None or active is None:
        (folder / MANIFEST).unlink(missing_ok=True)
        sync(folder)
        return f"Nothing is active under {folder.name}, as before"
    _rename(before, folder)
    said = f"Version {active.get('version')} is active again"
    try:
        activate(activation["activate"], model_file(folder, active), active, activation["activate_s"])
    except (OSError, Failure) as error:
        return f"{said}, but {error}: see what else is wrong with the application"
    return said


def _tidy(folder: Path) -> None:
    """Leave what the active manifest and its previous one name."""
    active = read_manifest(folder)
    kept = {f"{entry['sha256']}.onnx" for entry in (active, active and active["previous"]) if entry}
    for file in [*folder.glob(f"{MANIFEST}.*"), *folder.glob("models/*")]:
        if file.name not in kept:
            file.unlink()
