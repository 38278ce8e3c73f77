"""The layout of the project, read from its sources: rows, owners of heavy libraries, sizes, cycles."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "mlflow_nas"

ROWS = {
    "types": 0,
    "objectives": 0,
    "errors": 0,
    "networks": 0,
    "user_code": 0,
    "redact": 0,
    "disk": 0,
    "threads": 0,
    "yaml_file": 0,
    "config": 1,
    "pareto": 1,
    "space": 1,
    "data": 1,
    "export": 1,
    "board": 1,
    "tracking": 1,
    "tasks": 2,
    "runtime": 2,
    "report": 2,
    "registry": 2,
    "train": 3,
    "estimate": 3,
    "trial": 4,
    "search": 5,
    "deployments": 5,
    "api": 6,
    "cli": 6,
    "__main__": 6,
}
# The entrances stand in one row and lead into each other, in this order only.
EXCEPTIONS = {
    ("__main__", "cli"),
    ("cli", "api"),
    ("disk", "errors"),
    ("types", "objectives"),
    ("yaml_file", "errors"),
}

ELSEWHERE = "mlflow_nas.runtime.converter."
"""Scripts that the Python of another environment runs."""
ON_NXP = "tflite_runtime"
"""The name of LiteRT's interpreter in NXP's Linux."""

OWNERS = {
    "ai_edge_litert": {"board", "runtime"},
    "boto3": {"deployments"},
    "faster_coco_eval": {"tasks"},
    "jinja2": {"report"},
    "lightgbm": {"estimate"},
    "matplotlib": {"report"},
    "mlflow": {"tracking", "registry", "deployments"},
    "moocore": {"pareto"},
    "onnx": {"export"},
    "onnxruntime": {"export", "board", "runtime"},
    "onnxscript": set(),  # torch's exporter writes through it
    "optuna": {"search"},
    "pydantic": {"config"},
    "pytorch_lightning": {"data", "train"},
    "ray": {"search"},
    "scipy": {"estimate"},
    "sklearn": {"estimate"},
    "torch": {
        "networks",
        "space",
        "data",
        "export",
        "tasks",
        "runtime",
        "train",
        "estimate",
        "trial",
        "search",
    },
    "torchvision": {"space", "data", "tasks"},
    "xgboost": {"estimate"},
    "yaml": {"yaml_file", "board"},
}
MAX_MODULE_LINES = 300
MAX_BODY_LINES = 50

MODULES = {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def _room(module: str) -> str:
    """The room of a module: `space` for mlflow_nas.space.blocks, "" for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def _imported(tree: ast.Module) -> Iterator[str]:
    """Every module that the source names in an import, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inside)


IMPORTS = {name: set(_imported(tree)) for name, tree in TREES.items()}
OWN = {name: {other for other in imported if other in MODULES} for name, imported in IMPORTS.items()}
THIRD_PARTY = {
    name: {other.partition(".")[0] for other in imported} - sys.stdlib_module_names - {"mlflow_nas"}
    for name, imported in IMPORTS.items()
}


def test_every_room_has_a_row() -> None:
    """A module or folder of the package that stands in no row is refused."""
    rooms = {_room(name) for name in MODULES} - {""}
    assert rooms <= ROWS.keys(), f"give these rooms a row: {sorted(rooms - ROWS.keys())}"


def test_imports_flow_down_the_rows() -> None:
    """A room imports itself and lower rows; rooms of one row don't see each other."""
    wrong = [
        f"{name} imports {other}"
        for name, imported in OWN.items()
        for other in sorted(imported)
        if (here := _room(name)) != (there := _room(other))
        and there != ""
        and (here, there) not in EXCEPTIONS
        and (here == "" or ROWS[there] >= ROWS[here])
    ]
    assert not wrong, "\n".join(wrong)


def test_heavy_libraries_stay_with_their_owners() -> None:
    """Only the rooms that own a heavy library import it."""
    wrong = [
        f"{name} imports {library}"
        for name, libraries in THIRD_PARTY.items()
        if not name.startswith(ELSEWHERE)
        for library in sorted(libraries)
        if library in OWNERS and _room(name) not in OWNERS[library]
    ]
    assert not wrong, "\n".join(wrong)


def test_every_third_party_import_is_a_declared_dependency() -> None:
    """Nothing is imported that is there only because another package brought it."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    declared = {re.split(r"[\[>=]", line)[0].strip() for line in lines}
    distributions = packages_distributions()
    wrong = [
        f"{name} imports {library}"
        for name, libraries in THIRD_PARTY.items()
        if not name.startswith(ELSEWHERE)
        for library in sorted(libraries - {ON_NXP})
        if not declared & {found.lower() for found in distributions.get(library, [library])}
    ]
    assert not wrong, "\n".join(wrong)


def test_modules_import_in_no_circle() -> None:
    """No module reaches itself through its own imports."""
    try:
        TopologicalSorter(OWN).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_module_is_longer_than_the_limit() -> None:
    """A room that outgrows its files becomes a folder with one file per strategy."""
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    wrong = {name: count for name, count in lines.items() if count > MAX_MODULE_LINES}
    assert not wrong, f"over {MAX_MODULE_LINES} lines: {wrong}"


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_function_is_longer_than_the_limit() -> None:
    """A function's body fits on one screen."""
    wrong = {
        f"{name}.{node.name}": _body_lines(node)
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _body_lines(node) > MAX_BODY_LINES
    }
    assert not wrong, f"over {MAX_BODY_LINES} lines: {wrong}"


def test_only_the_command_line_prints() -> None:
    """A room returns or logs what it has to say."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if _room(name) != "cli"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong, "\n".join(wrong)


def _reads_environment(node: ast.AST) -> bool:
    """Whether the node is os.environ, os.getenv or an import of one of them."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in {"environ", "getenv"} for alias in node.names)
    return (
        isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    )


def test_only_config_reads_environment_variables() -> None:
    """Our variables are read by `config`; OpenMP's and MLflow's own are set by `threads` and `tracking`."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if _room(name) not in {"config", "threads", "tracking"}
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.ImportFrom) and _reads_environment(node)
    ]
    assert not wrong, "\n".join(wrong)


def _is_catalogue_line(node: ast.stmt) -> bool:
    """Whether a statement is an import, a docstring, `__all__` or `__version__`."""
    if isinstance(node, ast.Assign):
        return all(
            isinstance(name, ast.Name) and name.id in {"__all__", "__version__"} for name in node.targets
        )
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, ast.Import | ast.ImportFrom)


def test_the_init_of_a_room_is_a_catalogue() -> None:
    """An `__init__.py` holds imports and `__all__`, nothing else."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if MODULES[name].name == "__init__.py"
        for node in tree.body
        if not _is_catalogue_line(node)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("mlflow_nas", {"torch", "pytorch_lightning", "optuna", "mlflow", "numpy"}),
        ("mlflow_nas.cli", {"torch", "pytorch_lightning", "optuna", "mlflow"}),
        ("mlflow_nas.deployments", {"torch", "pytorch_lightning", "optuna"}),
    ],
)
def test_entry_points_import_no_heavy_libraries(module: str, absent: set[str]) -> None:
    """The package, its command line and its deployment target import in a blink: none of them loads torch."""
    source = f"import sys, {module}; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not absent & set(done.stdout.split())
