"""The store of deployed models, safe against power cuts.

ROOT/NAME/models/<sha256>.<format> and ROOT/NAME/manifest.json, which names the active file and holds the
"previous" manifest. Renaming the manifest is the switch: a power cut leaves the old or the new version.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.files import fsync, is_intact, refuse_symlink
from mlflow_nas.board.runtime.lock import device_lock

__all__ = [
    "FORMATS",
    "MANIFEST",
    "SCHEMA",
    "check_manifest",
    "delete",
    "deployment_folder",
    "get",
    "list_",
    "model_file",
    "model_name",
    "read_manifest",
]

SCHEMA = 1
"""Schema of the written manifests; later ones are refused."""

FORMATS = ("onnx", "tflite")
"""Of model files; the first one is that of a manifest that names none."""

MANIFEST = "manifest.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SHA256 = re.compile(r"[0-9a-f]{64}")


def deployment_folder(root: str, name: str) -> Path:
    """The folder of NAME; names and links that lead out of ROOT are refused."""
    if not NAME.fullmatch(name):
        raise Failure(
            "request",
            f"the name {name!r} is refused: use letters, digits and, after the first one, . _ -; at most 100",
        )
    folder = Path(root) / name
    for path in (folder.parent, folder, folder / "models", folder / MANIFEST):
        refuse_symlink(path)
    return folder


def model_file(folder: Path, manifest: JsonObject) -> Path:
    """The model file of a manifest."""
    return folder / "models" / model_name(manifest)


def model_name(manifest: JsonObject) -> str:
    """The name of a manifest's model file."""
    return f"{manifest['sha256']}.{manifest.get('format', FORMATS[0])}"


def read_manifest(folder: Path) -> JsonObject | None:
    """The active manifest, None without one; a damaged one and one of a later schema are refused."""
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise Failure(
            "device", f"{path} is damaged ({error}): delete {folder.name}, deploy it again"
        ) from error
    return check_manifest(found, folder)


def check_manifest(found: Any, folder: Path) -> JsonObject:
    """An active or previous manifest of the folder; a damaged one and one of a later schema are refused."""
    path = folder / MANIFEST
    try:
        schema, sha256 = int(found["schema"]), str(found["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(
            "device", f"{path} is damaged ({error}): delete {folder.name}, deploy it again"
        ) from error
    if schema > SCHEMA:
        raise Failure(
            "request",
            f"the manifest of {folder.name} has schema {schema}, this mlflow_nas reads up to {SCHEMA}: "
            "upgrade mlflow_nas, or delete the deployment",
        )
    if not SHA256.fullmatch(sha256):
        raise Failure("device", f"{path} names the file {sha256!r}: delete {folder.name}, deploy it again")
    if found.get("format", FORMATS[0]) not in FORMATS:
        raise Failure("device", f"{path} names the format {found['format']!r}: upgrade mlflow_nas")
    return {"previous": None, **found}


def delete(root: str, name: str, lock: JsonObject) -> JsonObject:
    """Remove NAME if it exists; the manifest first, so that a power cut leaves all or nothing of it."""
    folder = deployment_folder(root, name)
    with device_lock(**lock):
        existed = folder.is_dir()
        if existed:
            (folder / MANIFEST).unlink(missing_ok=True)
            fsync(folder)
            shutil.rmtree(folder)
    return {"deleted": existed}


def get(root: str, name: str) -> JsonObject:
    """The active manifest of NAME, null without one, and whether its file is intact."""
    folder = deployment_folder(root, name)
    manifest = read_manifest(folder)
    intact = manifest is not None and is_intact(model_file(folder, manifest), manifest["sha256"])
    return {"manifest": manifest, "intact": intact}


def list_(root: str) -> JsonObject:
    """The active manifests of all names, sorted; a refused one as `name` and `refused`, the reason."""
    refuse_symlink(Path(root))
    return {
        "manifests": [_listed(root, path.parent.name) for path in sorted(Path(root).glob(f"*/{MANIFEST}"))]
    }


def _listed(root: str, name: str) -> JsonObject | None:
    try:
        return read_manifest(deployment_folder(root, name))
    except Failure as refused:
        return {"name": name, "refused": str(refused)}
