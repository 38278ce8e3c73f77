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


def _command(name: str) -> click.Command:
    from mlflow_nas.cli import main  # here, so that the other tests run without the command line

    command = main.get_command(click.Context(main), name)
    assert command is not None, f"no command {name}"
    return command


def test_mlproject_and_the_reference_are_what_the_configuration_says() -> None:
    """`make generate` writes them; an option that changes changes them."""
    from generate_reference import generated

    stale = [name for name, text in generated().items() if _read(name) != text]
    assert stale == [], "run `make generate`"


def test_every_setting_has_a_default() -> None:
    """A command without options says what it lacks in its own sentence, and help shows real defaults."""
    from generate_reference import generated

    assert [name for name, text in generated().items() if "PydanticUndefined" in text] == []


def test_what_is_generated_is_written_where_it_belongs(tmp_path: Path) -> None:
    """Folders are made where they are missing."""
    from generate_reference import generated, write

    write(tmp_path)
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in generated()} == generated()


def test_entry_points_are_what_logs_a_run_or_changes_something() -> None:
    """The others are commands only and leave no empty runs."""
    assert list(_entry_points()) == [
        *(
            "main",
            "finish",
            "plan",
            "train",
            "evaluate",
            "select",
            "profile",
            "promote",
            "register",
            "deploy",
            "rollback",
            "report",
        )
    ]


def test_the_main_entry_point_has_few_parameters() -> None:
    """MLflow logs each of them, given or not."""
    assert list(_entry_points()["main"]["parameters"]) == [
        *("data", "classes", "weights", "space", "board", "study", "trials", "limit", "model", "device"),
        *("config", "set"),
    ]


def test_no_parameter_has_a_default_or_may_hold_a_password() -> None:
    """Not given is empty: the configuration has the defaults, the environment the passwords."""
    parameters = [entry["parameters"] for entry in _entry_points().values()]
    assert all(value == {"type": "string", "default": ""} for one in parameters for value in one.values())
    assert all("storage" not in one for one in parameters)


@pytest.mark.parametrize("entry_point", _entry_points())
def test_an_entry_point_passes_each_parameter_as_it_was_given(entry_point: str) -> None:
    """With blanks, quotes, commas and what a shell would read; MLflow quotes each value."""
    entry = _entry_points()[entry_point]
    given = {name: f"a b='{name}', \"$HOME\"; 24..64:8 <=2" for name in entry["parameters"]}
    words = shlex.split(entry["command"].format(**{name: shlex.quote(one) for name, one in given.items()}))
    assert words[:3] == ["python", "-m", "mlflow_nas"]
    assert words[3] == ("search" if entry_point == "main" else entry_point)
    parsed = _command(words[3]).make_context(words[3], words[4:]).params
    passed = {name: one[0] if isinstance(one, tuple) and one else one for name, one in parsed.items()}
    assert {name: passed[name] for name in given} == given


def _documents() -> list[str]:
    return [name for name in _tracked() if name.endswith(".md") and name != "CHANGELOG.md"]


@pytest.mark.parametrize("document", _documents())
def test_documents_name_commands_and_entry_points_that_exist(document: str) -> None:
    """`mlflow_nas COMMAND` and `mlflow run . -e ENTRY`."""
    text = _read(document)
    for name in set(re.findall(r"(?<!from )(?<!as )\bmlflow_nas ([a-z]+)", text)):
        _command(name)
    entry_points = {
        one for call in re.findall(r"mlflow run .*", text) for one in re.findall(r" -e (\w+)", call)
    }
    assert entry_points <= _entry_points().keys()


def _documented_calls() -> list[tuple[str, str]]:
    """(document, call) of every complete call of our commands in a shell block."""
    blocks = [
        (name, re.sub(r"\\\n\s*", "", block))
        for name in _documents()
        for block in re.findall(r"```sh\n(.*?)```", _read(name), flags=re.DOTALL)
    ]
    lines = [(name, re.sub(r"\s+[#>].*", "", line)) for name, block in blocks for line in block.splitlines()]
    return [(name, line) for name, line in lines if re.match(r"mlflow(_nas | run )", line)]


@pytest.mark.parametrize(("document", "call"), _documented_calls())
def test_documented_calls_have_options_that_exist(document: str, call: str) -> None:
    """Every option is one of its command, and every `-P` parameter one of its entry point."""
    words = shlex.split(call)
    if words[0] == "mlflow":
        entry = words[words.index("-e") + 1] if "-e" in words else "main"
        given = {words[at + 1].partition("=")[0] for at, word in enumerate(words) if word == "-P"}
        assert given <= _entry_points()[entry]["parameters"].keys(), document
        return
    command, arguments = _command(words[1]), words[2:]
    if isinstance(command, click.Group):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(words[1], arguments)


def test_make_help_lists_every_target() -> None:
    """`make` alone tells what there is."""
    make = ["make", "-s"]
    done = subprocess.run(make, cwd=PROJECT, capture_output=True, text=True, check=True)
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    measured = {"bench", "bench-speed", "bench-accuracy"}
    daily = {
        "help",
        "setup",
        "demo",
        "converters",
        "test",
        "test-services",
        "generate",
        "docs",
        "pictures",
        "lint",
        "check",
        "board-arm64",
        "clean",
    }
    assert listed == daily | measured


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
