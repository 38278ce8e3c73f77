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
from mlflow_nas.board.runtime.files import sync, verify
from mlflow_nas.board.runtime.session import load

__all__ = ["delete", "get", "install", "list_", "rollback"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _folder(root: str, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise Failure("request", f"the name {name!r} is refused: use letters, digits and inside also . _ -")
    return Path(root) / name


def _manifest(folder: Path) -> Answer | None:
    path = folder / "manifest.json"
    found: Answer | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found


def _switch(folder: Path, manifest: Answer) -> Answer:
    """Make this manifest the active one: one atomic rename, on the disk when this returns."""
    fresh = folder / "manifest.json.new"
    fresh.write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    sync(fresh)
    fresh.replace(folder / "manifest.json")
    sync(folder)
    return manifest


def install(root: str, name: str, staged: str, sha256: str, manifest: Answer) -> Answer:
    """Verify, try and place the staged file, then make it the active version of NAME; keep the one before."""
    folder, source = _folder(root, name), Path(staged)
    verify(source, sha256)
    load(staged, threads=1)
    active = _manifest(folder)
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    sync(source)
    source.replace(models / f"{sha256}.onnx")
    for changed in (models, folder, Path(root)):
        sync(changed)
    same = active is not None and active["sha256"] == sha256
    previous = active["previous"] if active and same else active and {**active, "previous": None}
    fresh = _switch(folder, {**manifest, "name": name, "sha256": sha256, "previous": previous})
    kept = {f"{version['sha256']}.onnx" for version in (fresh, previous) if version}
    for file in models.iterdir():
        if file.name not in kept:
            file.unlink()
    return fresh


def rollback(root: str, name: str) -> Answer:
    """Make the previous version of NAME active, after verifying its file; the active one becomes previous."""
    folder = _folder(root, name)
    active = _manifest(folder)
    previous = active and active["previous"]
    if not active or not previous:
        raise Failure("request", f"{name} has no previous version on the device: deploy the version you want")
    verify(folder / "models" / f"{previous['sha256']}.onnx", previous["sha256"])
    return _switch(folder, {**previous, "previous": {**active, "previous": None}})


def delete(root: str, name: str) -> Answer:
    """Remove NAME, if there is one; the manifest goes first: a power cut leaves it whole or gone."""
    folder = _folder(root, name)
    existed = folder.is_dir()
    if existed:
        (folder / "manifest.json").unlink(missing_ok=True)
        sync(folder)
        shutil.rmtree(folder)
    return {"deleted": existed}


def get(root: str, name: str) -> Answer:
    """The active manifest of NAME, null when there is none."""
    return {"manifest": _manifest(_folder(root, name))}


def list_(root: str) -> Answer:
    """The active manifests of all names, in the order of the names."""
    return {"manifests": [_manifest(path.parent) for path in sorted(Path(root).glob("*/manifest.json"))]}
