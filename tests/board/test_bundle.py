"""The runtime as one file: reproducible, and for Python 3.9 and later."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from mlflow_nas.board import runtime
from mlflow_nas.board.bundle import runtime_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The packed runtime in its own folder."""
    path = tmp_path / "runtime.pyz"
    path.write_bytes(runtime_bundle())
    return path


def _run(bundle: Path, *argv: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-I", str(bundle), *argv]
    return subprocess.run(command, capture_output=True, check=False, cwd=bundle.parent)


def test_the_bundle_answers(bundle: Path) -> None:
    """A device's Python runs the file directly."""
    done = _run(bundle, "facts")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["onnxruntime"]


def test_the_bundle_uses_nothing_beside_it(bundle: Path) -> None:
    """Even where mlflow_nas is installed, every module of it comes from the bundle."""
    code = f"""
import sys
sys.path.insert(0, {str(bundle)!r})
import mlflow_nas.board.runtime
for name, module in sys.modules.items():
    assert not name.startswith("mlflow_nas") or module.__file__.startswith({str(bundle)!r}), module
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_runtime_answers_errors_in_json(bundle: Path) -> None:
    """Standard output is one JSON object with the kind of the error, and the exit code is 1."""
    done = _run(bundle, "dance")
    assert (done.returncode, json.loads(done.stdout)["kind"]) == (1, "request")


def test_the_bundle_depends_on_the_sources_alone(bundle: Path) -> None:
    """A touched file changes nothing: the bundle's name on the device is the hash of its content."""
    os.utime(runtime.__file__)
    assert runtime_bundle() == bundle.read_bytes()
    with ZipFile(bundle) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def _imported(tree: ast.Module) -> set[str]:
    """The imported modules of a source, inside functions too."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_devices_need_python_39_numpy_and_one_runtime_only() -> None:
    """Every source parses as Python 3.9 and imports only the standard library, numpy and a runtime."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        for path in Path(runtime.__file__).parent.glob("*.py")
    ]
    imported = set().union(*map(_imported, trees))
    foreign = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    own = {name for name in foreign if name.startswith("mlflow_nas.board.runtime.")}
    assert foreign - own == {"numpy", "onnxruntime", "ai_edge_litert", "tflite_runtime"}
