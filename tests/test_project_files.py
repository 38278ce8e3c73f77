"""The files around the package agree with it and with each other."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

PROJECT = Path(__file__).parents[1]
COMMANDS = {
    "main": "search",
    "select": "select",
    "report": "report",
    "train": "train",
    "evaluate": "evaluate",
    "profile": "profile",
    "focus": "focus",
    "boards": "boards",
    "doctor": "doctor",
    "promote": "promote",
    "deploy": "deploy",
    "rollback": "rollback",
}
TERMINAL_ONLY = {"json"}  # how a result is printed; `mlflow run` keeps it in the run


def _read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def _name(requirement: str) -> str:
    """The package of a requirement: `torch` for "torch>=2.11", in the registry's spelling."""
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def _declared() -> dict[str, list[str]]:
    """The direct requirements of pyproject.toml: of the package and of its developers."""
    project = tomllib.loads(_read("pyproject.toml"))
    return {"run": project["project"]["dependencies"], "dev": project["dependency-groups"]["dev"]}


def _locked(name: str) -> dict[str, str]:
    """Package to pinned version of one lock file."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", _read(name), flags=re.MULTILINE))


def _conda_pip() -> dict[str, str]:
    """Package to pinned version of conda.yaml's pip list."""
    (listed,) = [entry["pip"] for entry in _conda()["dependencies"] if isinstance(entry, dict)]
    return dict(entry.split("==") for entry in listed)


def _conda() -> dict[str, Any]:
    return dict(yaml.safe_load(_read("conda.yaml")))


def test_conda_yaml_lists_every_dependency_at_its_locked_version() -> None:
    """`mlflow run --env-manager uv` installs what `make setup` installs."""
    locked = _locked("requirements.txt")
    assert _conda_pip() == {_name(line): locked[_name(line)] for line in _declared()["run"]}


def test_conda_yaml_needs_nothing_from_conda() -> None:
    """MLflow's uv and virtualenv managers read Python's version and the pip list, and drop the rest."""
    plain = [entry for entry in _conda()["dependencies"] if isinstance(entry, str)]
    assert plain == ["python=3.11", "pip"]


def test_the_lock_files_pin_every_declared_dependency() -> None:
    """A dependency that is added to pyproject.toml is locked, too."""
    declared = _declared()
    assert {_name(line) for line in declared["run"]} <= _locked("requirements.txt").keys()
    assert {_name(line) for line in declared["dev"]} <= _locked("requirements-dev.txt").keys()


def test_the_lock_files_agree() -> None:
    """A package that stands in both lock files has one version."""
    run, dev = _locked("requirements.txt"), _locked("requirements-dev.txt")
    both = run.keys() & dev.keys()
    assert {name: run[name] for name in both} == {name: dev[name] for name in both}


def test_nvidia_packages_are_locked_for_linux_only() -> None:
    """On a Mac the lock file installs without CUDA."""
    lines = [
        line for line in _read("requirements.txt").splitlines() if re.match("(nvidia|cuda|triton)", line)
    ]
    assert lines
    assert all("sys_platform == 'linux'" in line for line in lines)


def test_every_direct_dependency_says_who_needs_it() -> None:
    """Each dependency of the package carries the name of the room that imports it."""
    section = _read("pyproject.toml").partition("dependencies = [")[2].partition("\n]")[0]
    assert [line for line in section.splitlines()[1:] if "#" not in line] == []


def _tracked() -> list[str]:
    git = ["git", "ls-files"]
    listed = subprocess.run(git, cwd=PROJECT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    """What is committed works on every machine."""
    # /home/me stands in the tests of the export for a path that must not get into a model.
    suspect = re.compile(r"--(extra-)?index-url|--find-links|/(?:root|work)/\w|/home/(?!me\b)\w")
    texts = {
        name: _read(name)
        for name in _tracked()
        if not name.endswith((".png", ".jpg", ".onnx", ".ico")) and name != "tests/test_project_files.py"
    }
    assert {name for name, text in texts.items() if suspect.search(text)} == set()


def _entry_points() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(_read("MLproject"))["entry_points"])


def _options(entry_point: str) -> dict[str, click.Option]:
    """The options of the command behind an entry point, by their MLproject spelling."""
    from mlflow_nas.cli import main  # here, so that the other tests run without the command line

    command = main.get_command(click.Context(main), COMMANDS[entry_point])
    assert command is not None, f"no command {COMMANDS[entry_point]}"
    options = [option for option in command.params if isinstance(option, click.Option)]
    spelled = {max(option.opts, key=len).removeprefix("--").replace("-", "_"): option for option in options}
    return {name: option for name, option in spelled.items() if name not in TERMINAL_ONLY}


def _same_default(written: object, option: click.Option) -> bool:
    """Whether an MLproject default and a click default mean the same; "" stands for not set."""
    default = option.get_default(click.Context(click.Command("none")))
    if default is None or default == ():
        return written == ""
    if isinstance(default, bool):
        return str(written).lower() == str(default).lower()
    if isinstance(default, int | float):
        return float(str(written)) == float(default)
    return str(written) == str(default)


def test_mlproject_and_the_command_line_have_the_same_commands() -> None:
    """One command per entry point: main is `search`, the others keep their names."""
    from mlflow_nas.cli import main

    assert _entry_points().keys() == COMMANDS.keys()
    assert set(COMMANDS.values()) <= set(main.list_commands(click.Context(main)))


@pytest.mark.parametrize("entry_point", COMMANDS)
def test_an_entry_point_has_its_commands_options(entry_point: str) -> None:
    """MLproject's parameters are the command's options, with underscores for dashes."""
    assert _entry_points()[entry_point]["parameters"].keys() == _options(entry_point).keys()


@pytest.mark.parametrize("entry_point", COMMANDS)
def test_an_entry_point_has_its_commands_defaults(entry_point: str) -> None:
    """`mlflow run` without -P does what the command does without options."""
    options = _options(entry_point)
    parameters = _entry_points()[entry_point]["parameters"]
    different = {
        name: (value["default"], options[name].default)
        for name, value in parameters.items()
        if "default" in value and not _same_default(value["default"], options[name])
    }
    without = {name for name, value in parameters.items() if "default" not in value}
    assert different == {}
    assert without == {name for name, option in options.items() if option.required}


@pytest.mark.parametrize("entry_point", COMMANDS)
def test_an_entry_point_passes_each_parameter_once(entry_point: str) -> None:
    """The template hands every parameter to the option of its name, in the environment's Python."""
    entry = _entry_points()[entry_point]
    words = shlex.split(entry["command"])
    assert words[:4] == ["python", "-m", "mlflow_nas", COMMANDS[entry_point]]
    passed = list(zip(words[4::2], words[5::2], strict=True))
    expected = [(f"--{name.replace('_', '-')}", f"{{{name}}}") for name in entry["parameters"]]
    assert sorted(passed) == sorted(expected)


def test_the_readme_lists_every_entry_point_and_parameter() -> None:
    """The table of parameters in README.md is complete."""
    readme = _read("README.md")
    missing = [
        f"{entry_point}: {name}"
        for entry_point, entry in _entry_points().items()
        for name in entry["parameters"]
        if f"`{name}`" not in readme
    ]
    assert missing == []


def test_make_help_lists_every_target() -> None:
    """`make` alone tells what there is."""
    make = ["make", "-s"]
    done = subprocess.run(make, cwd=PROJECT, capture_output=True, text=True, check=True)
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    measured = {"bench", "bench-speed", "bench-accuracy"}
    assert listed == {"help", "setup", "demo", "test", "lint", "check", "board-arm64", "clean"} | measured


def _setup(python: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run .ci/setup of a copy that has nothing to install."""
    (folder / ".ci").mkdir()
    script = shutil.copy(PROJECT / ".ci/setup", folder / ".ci/setup")
    return subprocess.run([script, python], capture_output=True, text=True, check=False)


def _fake_python(folder: Path, body: str) -> str:
    """A program that answers as a certain Python would."""
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def test_setup_refuses_an_old_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Python 3.11 the user reads which package to install and how to name another Python."""
    old = _fake_python(tmp_path, "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    done = _setup(old, tmp_path)
    assert done.returncode == 1
    assert "is Python 3.11 or newer" in done.stderr
    assert "make setup PYTHON=" in done.stderr


def test_setup_names_the_package_that_brings_ensurepip(tmp_path: Path) -> None:
    """Debian's Python without python3-venv gets the remedy, not a traceback."""
    bare = _fake_python(tmp_path, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    done = _setup(bare, tmp_path)
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
