"""What the command line passes on, prints and refuses."""

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from mlflow_nas import api
from mlflow_nas.api import CacheReport, DoctorResult, EvaluateResult
from mlflow_nas.cli import main
from mlflow_nas.errors import BoardError, ConfigError, MachineError

COMMANDS = sorted(set(main.list_commands(click.Context(main))) - {"cache", "data", "runtimes", "webhook"})
DOCTOR = DoctorResult(board="local", ready=True, checks=())


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """What `doctor` was called with."""
    calls: list[Mapping[str, Any]] = []
    monkeypatch.setattr(api, "doctor", lambda **options: calls.append(options) or DOCTOR)
    return calls


def test_the_commands() -> None:
    """One per function of the API."""
    assert [
        *(
            "boards",
            "compare",
            "deploy",
            "doctor",
            "evaluate",
            "finish",
            "focus",
            "pin",
            "plan",
            "profile",
            "promote",
        ),
        *("publish", "register", "report", "rollback", "search", "select", "sensitivity"),
        *("status", "train", "watch"),
    ] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_options_in_groups(command: str) -> None:
    """Each option and each setting of --set once, with its sentence."""
    from mlflow_nas.cli.options import ConfigCommand

    result = CliRunner().invoke(main, [command, "--help"], terminal_width=110)
    assert result.exit_code == 0, result.output
    for group in ("Configuration:", "Output:", "--json", "--config FILE", "--set NAME=VALUE"):
        assert group in result.output
    found = main.get_command(click.Context(main), command)
    assert isinstance(found, ConfigCommand)
    words = [line.split()[0] for line in result.output.splitlines() if line.strip()]
    for setting in found.settings.values():
        spelled = setting.flag if setting.option else setting.name
        assert words.count(spelled) == 1, spelled
        assert " ".join(setting.description.split()[:4]) in " ".join(result.output.split())


def test_help_shows_choices_ranges_and_defaults() -> None:
    """Of options and of settings without one."""
    shown = " ".join(CliRunner().invoke(main, ["search", "--help"], terminal_width=110).output.split())
    for words in (
        "--trials 1..100000 Total number of trials, the reference included [default: 8]",
        "--sampler auto|grid|random|tpe|",
        "--limit METRIC<=NUMBER",
        "training.batch_size 2..4096 Images per training step [default: 8]",
        "Settings of --set, Quantization: quantization.precision int8|fp32",
    ):
        assert words in shown


def test_only_what_is_typed_is_passed_on(seen: list[Mapping[str, Any]]) -> None:
    """A default is no option: it would win over the file."""
    CliRunner().invoke(main, ["doctor"])
    words = ["--board", "a", "--config", "f.yaml", "--set", "board.threads=2", "--set", "x=1"]
    CliRunner().invoke(main, ["doctor", *words])
    assert seen == [{}, {"board": "a", "config": "f.yaml", "set": ("board.threads=2", "x=1")}]


def test_what_mlflow_passes_is_what_nothing_passes(seen: list[Mapping[str, Any]]) -> None:
    """Empty parameters of a project."""
    assert CliRunner().invoke(main, ["doctor", "--board", "", "--config", "", "--set", ""]).exit_code == 0
    assert seen == [{"board": "", "config": "", "set": ("",)}]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["search", "--trials", "0"], "--trials '0': Input should be greater than or equal to 1"),
        (["search", "--set", "trails=0"], "Unknown option trails of --set: did you mean trials?"),
        (
            ["search", "--batch-size", "8"],
            "No such option: --batch-size. Write --set training.batch_size=VALUE.",
        ),
        (["evaluate", "--onnx", "a", "--model", "b"], "--model and --onnx given: name exactly one"),
        (["doctor", "--config", "/"], "the config file / can't be read: Is a directory"),
        (["select"], "give either --study NAME"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(words: list[str], sentence: str) -> None:
    """No traceback, nothing on standard output."""
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_json_is_one_object_on_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """What libraries print goes to standard error."""

    def doctor(**_: object) -> DoctorResult:
        print("a library's chatter")  # noqa: T201 - that is the test
        return DOCTOR

    monkeypatch.setattr(api, "doctor", doctor)
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert json.loads(result.stdout) == {"board": "local", "ready": True, "checks": []}
    assert "chatter" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no"), 2),
        (BoardError("dead"), 1),
        (MachineError("full"), 1),
        (ConfigError("://a:pw@b"), 2),
    ],
)
def test_exit_codes_say_whose_fault_it_is(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    """2 is the user's, 1 is everything else that is foreseen; no sentence shows a password."""

    def deploy(**_: object) -> None:
        raise error

    monkeypatch.setattr(api, "deploy", deploy)
    result = CliRunner().invoke(main, ["deploy"])
    assert result.exit_code == code
    assert result.stderr == f"mlflow_nas: {str(error).replace('pw', '***')}\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SystemExit(0), "a file of yours, such as a search space, ended the program: SystemExit(0)"),
        (SystemExit(), "ended the program: SystemExit(None)"),
        (MemoryError(), "this machine has too little memory"),
        (OSError(errno.ENOSPC, "No space left on device", "journal"), "No space left on device: journal"),
        (OSError(errno.EROFS, "Read-only file system", "work"), "Read-only file system: work"),
    ],
)
def test_what_ends_a_command_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, sentence: str
) -> None:
    """On standard error, with an exit code that is not 0."""

    def deploy(**_: object) -> None:
        raise error

    monkeypatch.setattr(api, "deploy", deploy)
    done = CliRunner().invoke(main, ["deploy"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("mlflow_nas: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "error", [ValueError("bug"), FileNotFoundError(2, "no file", "x"), BrokenPipeError()]
)
def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """What is not foreseen must be reported with its place."""

    def deploy(**_: object) -> None:
        raise error

    monkeypatch.setattr(api, "deploy", deploy)
    assert CliRunner().invoke(main, ["deploy"]).exception is error


def test_a_switch_may_be_given_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """--dry-run is --dry-run true; a project passes an empty one where it is not given."""
    seen: list[object] = []
    monkeypatch.setattr(api, "promote", lambda **options: seen.append(options.get("dry_run")) or DOCTOR)
    for arguments in (["--dry-run"], ["--dry-run", "true"], ["--dry-run", ""], []):
        assert CliRunner().invoke(main, ["promote", *arguments, "--json"]).exit_code == 0
    assert seen == ["true", "true", "", None]


def test_a_limit_may_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one bound."""
    seen: list[object] = []
    monkeypatch.setattr(api, "search", lambda **options: seen.append(options["limit"]) or DOCTOR)
    CliRunner().invoke(main, ["search", "--limit", "params<=2e5", "--limit", "latency_ms<=12", "--json"])
    assert seen == [("params<=2e5", "latency_ms<=12")]


def test_the_cache_is_shown_and_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands below one name."""
    steps = {"train": (2, 3_000_000), "export": (1, 500)}
    folder = Path("/c")
    report = CacheReport(folder=folder, entries=3, size_bytes=3_000_500, limit_bytes=10**10, steps=steps)
    monkeypatch.setattr(api, "cache_show", lambda: report, raising=False)
    monkeypatch.setattr(api, "cache_prune", lambda **_: report, raising=False)
    shown = CliRunner().invoke(main, ["cache", "show"]).stdout
    assert "train   2        3 MB" in shown
    assert "3 entries, 3 MB of at most 10 GB." in shown
    done = CliRunner().invoke(main, ["cache", "prune", "--max-gb", "1", "--json"])
    assert json.loads(done.stdout)["steps"] == {"train": [2, 3_000_000], "export": [1, 500]}


def test_a_result_is_typed_and_plain_as_json() -> None:
    """Metrics stand at the top level, what is not finite is null, passwords are masked."""
    result = EvaluateResult(
        metrics={"map": float("nan")},
        images=1,
        boxes=1,
        ignored=0,
        skipped=0,
        eval_augmentations=1,
        classes=("person",),
        detector="http://u:pw@host/m",
        precision="int8",
        img_size=(96, 96),
        data="synthetic",
        split="val",
        dataset="d",
        seconds=0.1,
    )
    plain = result.as_json()
    assert (plain["map"], plain["img_size"], plain["detector"]) == (None, [96, 96], "http://u:***@host/m")
    json.dumps(plain, allow_nan=False)


@pytest.mark.parametrize(
    ("words", "typed", "wanted"),
    [
        ([], "eval", ["evaluate"]),
        (["search"], "--fin", ["--finalists"]),
        (["search", "--sampler"], "n", ["nsga2", "nsga3"]),
        (["evaluate", "--split"], "t", ["train", "test"]),
        (["evaluate", "--split"], "z", []),
        (["search", "--space"], "c", ["chain", "cell"]),
        (["search", "--estimator"], "s", ["synflow", "supernet"]),
    ],
)
def test_the_shell_completes_commands_options_and_choices(
    words: list[str], typed: str, wanted: list[str]
) -> None:
    """An option without choices completes files, and so does one of which a file is a choice."""
    complete = ShellComplete(main, {}, "mlflow_nas", "_MLFLOW_NAS_COMPLETE")
    assert [one.value for one in complete.get_completions(words, typed)] == wanted
    for option in (["evaluate", "--onnx"], ["search", "--space"]):
        (file,) = complete.get_completions(option, "model")
        assert file.type == "file"
