"""The deployed models, safe from power cuts.

ROOT/NAME/models/<sha256>.onnx and ROOT/NAME/manifest.json, which names the active file and holds the
"previous" manifest. Its rename is the one step that switches: power cuts leave the old or the new.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from mlflow_nas.board.runtime.failure import Answer, Failure
from mlflow_nas.board.runtime.files import is_whole, refuse_link, sync
from mlflow_nas.board.runtime.lock import exclusive

__all__ = ["MANIFEST", "SCHEMA", "delete", "folder_of", "get", "list_", "model_file", "read_manifest"]

SCHEMA = 1
"""Of the manifests that this version writes; later ones are refused."""

MANIFEST = "manifest.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SHA256 = re.compile(r"[0-9a-f]{64}")


def folder_of(root: str, name: str) -> Path:
    """The folder of NAME; names and links that lead out of ROOT are refused."""
    if not NAME.fullmatch(name):
        raise Failure(
            "request",
            f"the name {name!r} is refused: use letters, digits and inside also . _ -, at most 100 of them",
        )
    folder = Path(root) / name
    for path in (folder, folder / "models", folder / MANIFEST):
        refuse_link(path)
    return folder


def model_file(folder: Path, manifest: Answer) -> Path:
    """The file that a manifest names."""
    return folder / "models" / f"{manifest['sha256']}.onnx"


def read_manifest(folder: Path) -> Answer | None:
    """The active manifest, None when there is none; a damaged or a later version's one is refused."""
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        schema, sha256 = int(found["schema"]), str(found["sha256"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(
            "device", f"{path} is damaged ({error}): delete {folder.name}, deploy it again"
        ) from error
    if schema > SCHEMA:
        raise Failure(
            "request",
            f"the manifest of {folder.name} has schema {schema}, this mlflow_nas knows them up to {SCHEMA}: "
            "upgrade mlflow_nas, or delete the deployment",
        )
    if not SHA256.fullmatch(sha256):
        raise Failure("device", f"{path} names the file {sha256!r}: delete {folder.name}, deploy it again")
    return dict(found)


def delete(root: str, name: str, lock: Answer) -> Answer:
    """Remove NAME, if there is one; the manifest goes first: a power cut leaves it whole or gone."""
    folder = folder_of(root, name)
    with exclusive(**lock):
        existed = folder.is_dir()
        if existed:
            (folder / MANIFEST).unlink(missing_ok=True)
            sync(folder)
            shutil.rmtree(folder)
    return {"deleted": existed}


def get(root: str, name: str) -> Answer:
    """The active manifest of NAME, null when there is none, and whether its file is whole."""
    folder = folder_of(root, name)
    manifest = read_manifest(folder)
    whole = manifest is not None and is_whole(model_file(folder, manifest), manifest["sha256"])
    return {"manifest": manifest, "whole": whole}


def list_(root: str) -> Answer:
    """The active manifests of all names, in their order; of one that is refused its name and why."""
    return {
        "manifests": [_listed(root, path.parent.name) for path in sorted(Path(root).glob(f"*/{MANIFEST}"))]
    }


def _listed(root: str, name: str) -> Answer | None:
    try:
        return read_manifest(folder_of(root, name))
    except Failure as refused:
        return {"name": name, "refused": str(refused)}
