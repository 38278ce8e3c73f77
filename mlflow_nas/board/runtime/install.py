"""The switch from one deployed version to another, and the rollback.

A version is confirmed when the device's commands `activate` and `health` have succeeded with it. Everything
that a restore needs is on the disk before the switch: the restore is one rename, also on a full disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from mlflow_nas.board.runtime.activate import activate, check_health
from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.files import (
    fsync,
    is_intact,
    refuse_symlink,
    remove_stale,
    verify_sha256,
    write_json,
)
from mlflow_nas.board.runtime.lock import device_lock
from mlflow_nas.board.runtime.session import load
from mlflow_nas.board.runtime.signature import verify_manifest
from mlflow_nas.board.runtime.store import (
    MANIFEST,
    SCHEMA,
    check_manifest,
    deployment_folder,
    model_file,
    model_name,
    read_manifest,
)

__all__ = ["ANY_VERSION", "install", "rollback"]

ANY_VERSION = "any"


def install(
    root: str,
    name: str,
    file: JsonObject,
    manifest: JsonObject,
    seal: JsonObject,
    session: JsonObject,
    lock: JsonObject,
    activation: JsonObject,
    replaces: str | None = ANY_VERSION,
    upload_folders: Sequence[str] = (),
) -> JsonObject:
    """Verify, load and store the uploaded file, then make it the active version of NAME; keep the previous.

    Args:
        root: folder of the deployed models.
        name: of the deployment.
        file: `path`, `sha256`, `max_bytes`, None for any size, and `found`: what an agent adds to the
            manifest, such as the session; absent where a host deploys.
        manifest: stored beside the file.
        seal: the manifest's `digest` and `signature`, None without one.
        session: the arguments of `load`.
        lock: the arguments of `device_lock`.
        activation: the commands `activate` and `health`, each a list of words, with `activate_s`, `health_s`.
        replaces: hash of the version that must be active now, None for none, "any" for whatever.
        upload_folders: folders of unfinished uploads; stale ones are removed.
    """
    folder, source, sha256 = deployment_folder(root, name), Path(file["path"]), file["sha256"]
    with device_lock(**lock):
        for uploads in upload_folders:
            refuse_symlink(Path(uploads))
            remove_stale(Path(uploads))
        active = read_manifest(folder)
        _refuse_other(name, active, replaces)
        _refuse_large(source, file["max_bytes"])
        verify_sha256(source, sha256)
        verify_manifest(root, manifest, sha256, seal)
        load(str(source), **{**session, "cores": ()})  # processes of `activate` must not inherit the cores
        check_manifest({**manifest, "schema": SCHEMA, "sha256": sha256}, folder)
        entry = {
            **manifest,
            **file.get("found", {}),
            "schema": SCHEMA,
            "name": name,
            "sha256": sha256,
            "seal": seal,
        }
        previous = _previous(folder, entry, active)
        try:
            _store(source, model_file(folder, entry))
            return _switch(folder, {**entry, "previous": previous}, active, activation)
        finally:
            _remove_unreferenced(folder)


def rollback(root: str, name: str, lock: JsonObject, activation: JsonObject) -> JsonObject:
    """Make the previous version of NAME active, after verifying its file; the active one becomes previous."""
    folder = deployment_folder(root, name)
    with device_lock(**lock):
        active = read_manifest(folder)
        previous = active and active["previous"]
        if not active or not previous:
            raise Failure(
                "request", f"{name} has no previous version on the device: deploy the version you want"
            )
        previous = check_manifest(previous, folder)
        verify_sha256(model_file(folder, previous), previous["sha256"])
        try:
            return _switch(folder, {**previous, "previous": _fallback(folder, active)}, active, activation)
        finally:
            _remove_unreferenced(folder)


def _identity(manifest: JsonObject) -> tuple[object, ...]:
    return manifest["sha256"], manifest.get("model"), manifest.get("version")


def _refuse_other(name: str, active: JsonObject | None, expected: str | None) -> None:
    found = active and active["sha256"]
    if expected not in (ANY_VERSION, found):
        raise Failure(
            "device",
            f"{name} was changed by another deployment meanwhile (sha256 {found}, not {expected}): repeat",
        )


def _refuse_large(file: Path, max_bytes: int | None) -> None:
    size = file.stat().st_size
    if max_bytes is not None and size > max_bytes:
        raise Failure(
            "request",
            f"the model has {size} bytes, the device's max_model_bytes is {max_bytes}: deploy a smaller one",
        )


def _store(source: Path, target: Path) -> None:
    """Move the file to its place under its hash, on the disk on return."""
    models = target.parent
    models.mkdir(parents=True, exist_ok=True)
    fsync(source)
    source.replace(target)
    for changed in (models, models.parent, models.parent.parent):
        fsync(changed)


def _previous(folder: Path, entry: JsonObject, active: JsonObject | None) -> JsonObject | None:
    """Target of a rollback of the new version: never that version itself."""
    same = active is not None and _identity(active) == _identity(entry)
    found = active and active["previous"] if same else _fallback(folder, active)
    return None if found and _identity(found) == _identity(entry) else found


def _fallback(folder: Path, active: JsonObject | None) -> JsonObject | None:
    """Target of a later rollback: the active version if it is confirmed and intact, else its previous one."""
    if active is None:
        return None
    if active.get("confirmed", True) and is_intact(model_file(folder, active), active["sha256"]):
        return {**active, "previous": None}
    previous: JsonObject | None = active["previous"]
    return previous


def _switch(
    folder: Path, manifest: JsonObject, active: JsonObject | None, activation: JsonObject
) -> JsonObject:
    """One atomic rename, the device's commands, and a second rename that confirms or restores."""
    confirmed = {**manifest, "confirmed": True}
    fresh = write_json(folder / f"{MANIFEST}.new", {**manifest, "confirmed": False})
    final = write_json(folder / f"{MANIFEST}.confirmed", confirmed)
    before = write_json(folder / f"{MANIFEST}.before", active) if active else None
    model = str(model_file(folder, manifest))
    try:
        if activation["activate"] or activation["health"]:
            _rename(fresh, folder)
            activate(activation["activate"], model, manifest, activation["activate_s"])
            check_health(activation["health"], model, manifest, activation["health_s"])
        _rename(final, folder)
    except (OSError, Failure) as error:
        raise Failure("device", f"{error}. {_restore(folder, before, active, activation)}") from error
    return confirmed


def _rename(source: Path, folder: Path) -> None:
    source.replace(folder / MANIFEST)
    fsync(folder)


def _restore(folder: Path, before: Path | None, active: JsonObject | None, activation: JsonObject) -> str:
    """Make the previously active version active again, or none; returns the result as a sentence."""
    if before is None or active is None:
        (folder / MANIFEST).unlink(missing_ok=True)
        fsync(folder)
        restored, model, manifest = (
            f"Nothing is active under {folder.name}, as before",
            "",
            {"name": folder.name},
        )
    else:
        _rename(before, folder)
        restored, manifest = f"Version {active.get('version')} is active again", active
        model = str(model_file(folder, active))
    try:
        activate(activation["activate"], model, manifest, activation["activate_s"])
    except (OSError, Failure) as error:
        return f"{restored}, but {error}: check the application"
    return restored


def _remove_unreferenced(folder: Path) -> None:
    """Keep only the files of the active manifest and of its previous one, and folders, which are not ours."""
    active = read_manifest(folder)
    used = {model_name(entry) for entry in (active, active and active["previous"]) if entry}
    for file in [*folder.glob(f"{MANIFEST}.*"), *folder.glob("models/*")]:
        if file.name not in used and (file.is_symlink() or not file.is_dir()):
            with contextlib.suppress(OSError):  # a leftover does not undo the switch
                file.unlink()
