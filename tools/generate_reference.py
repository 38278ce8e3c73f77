"""Writes MLproject and docs/reference from the configuration: `make generate`."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
import reference_names

from mlflow_nas.cli import main
from mlflow_nas.cli.options import ConfigCommand
from mlflow_nas.config import VARIABLES, CommandConfig, Section, Setting, section_of, settings_of

__all__ = ["ENTRY_POINTS", "MAIN_PARAMETERS", "SECRET", "generated", "write"]

PROJECT = Path(__file__).parents[1]

ENTRY_POINTS = {
    "main": "search",
    "finish": "finish",
    "plan": "plan",
    "train": "train",
    "evaluate": "evaluate",
    "select": "select",
    "profile": "profile",
    "promote": "promote",
    "register": "register",
    "deploy": "deploy",
    "rollback": "rollback",
    "report": "report",
}
"""Entry point to command: what logs a run, or changes the registry or a device."""

MAIN_PARAMETERS = (
    *("data", "classes", "weights", "space", "board", "study", "trials", "limit", "model", "device"),
    *("config", "set"),
)
"""MLflow logs every parameter of a project and shows it, so a search has few."""

SHORT = {"main": MAIN_PARAMETERS, "finish": MAIN_PARAMETERS, "plan": ("budget", *MAIN_PARAMETERS)}
"""Entry points that take the settings of a search."""

SECRET = {"storage"}
"""Options that may hold a password, which MLflow would log as a param of the project's run."""

_WRITTEN = "Written by `make generate` from mlflow_nas/config: change it there."

_HOW = """\
Every command takes its settings from four places; the later one wins:

1. the default,
2. a YAML file: `--config study.yaml`,
3. the environment (below),
4. the command line, or keywords in Python: `--trials 20`, `--set training.epochs=30`. What is typed wins
   over the file also where it equals the default.

The most used settings have an option (and a project parameter) of their own; all have a dotted name. These
do the same:

```sh
mlflow_nas search --trials 20 --set "training.epochs=30 space.channels=24..64:8"
mlflow run . --env-manager local -P trials=20 -P set="training.epochs=30 space.channels=24..64:8"
mlflow_nas search --config study.yaml
```

```yaml
# study.yaml
trials: 20            # by option, or
training:             # in sections
  epochs: 30
space:
  channels: 24..64:8
```

```python
from mlflow_nas import api

api.search(trials=20, set="training.epochs=30 space.channels=24..64:8")
api.search(trials=20, training={"epochs": 30}, space={"channels": "24..64:8"})
api.search(config="study.yaml")
```

- `--set` takes NAME=VALUE pairs between blanks or newlines, and may be repeated. A value ends where the next
  NAME= begins: commas, colons, dots and blanks in it need no quotes. A value in `'...'` or `"..."` is taken
  as it is; only one that holds ` NAME=` needs them.
- `space.NAME=A,B` and `space.NAME=FIRST..LAST:STEP` keep some of a parameter's choices; without a step a
  range holds all choices between its ends. `space.choices.NAME` is the same.
- An empty value means "not given". `null` means "no value" for a setting without a default, whatever the file
  has.
- In a file every scalar is text until its setting reads it: `no` is a class name, `2e5` a number. A file has
  at most 1 MB, 20 levels and 20,000 values; anchors and `<<` work within that.
- An unknown name, a value out of its range, and two values for one setting in one place are refused.
- The run holds every setting as a param under its dotted name, without passwords; the storage is no param,
  and no parameter of an entry point.
"""


def generated() -> dict[str, str]:
    """Path below the project to the text that belongs there."""
    return {
        "MLproject": _mlproject(),
        "docs/reference/commands.md": _commands_page(),
        "docs/reference/configuration.md": _configuration_page(),
        "docs/reference/results.md": _results_page(),
    }


def write(project: Path) -> None:
    """Write all files below the project's folder."""
    for name, text in generated().items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _commands() -> dict[str, ConfigCommand]:
    """Name to command, of those with a configuration, in the order of the help."""
    return dict(_walk(main, ""))


def _walk(group: click.Group, prefix: str) -> Iterator[tuple[str, ConfigCommand]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, ConfigCommand):
            yield f"{prefix}{name}", command
        elif isinstance(command, click.Group):
            yield from _walk(command, f"{prefix}{name} ")


def _mlproject() -> str:
    commands = _commands()
    parts = [f"# {_WRITTEN}\nname: mlflow_nas\n\nconda_env: conda.yaml\n\nentry_points:"]
    for entry_point, name in ENTRY_POINTS.items():
        options = [one.option for one in commands[name].settings.values() if one.option]
        own = [option for option in options if option not in SECRET]
        parameters = SHORT.get(entry_point, (*own, "config", "set"))
        lines = [f"  {entry_point}:", "    parameters:"]
        lines += [f'      {one}: {{type: string, default: ""}}' for one in parameters]
        lines += ["    command: >-", f"      python -m mlflow_nas {name}"]
        arguments = {one.option for one in commands[name].settings.values() if one.is_argument}
        lines += [
            f"      {{{one}}}" if one in arguments else f"      --{one.replace('_', '-')} {{{one}}}"
            for one in parameters
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts).replace("entry_points:\n\n", "entry_points:\n") + "\n"


def _commands_page() -> str:
    parts = [
        f"<!-- {_WRITTEN} -->",
        "# Commands",
        "`mlflow_nas COMMAND --help` shows the same. Every command takes `--config FILE`, `--set NAME=VALUE` "
        "([how](configuration.md)) and `--json`, which prints the result as one JSON object. Exit codes: 0, "
        "2 for a mistake of the user, 1 for everything else that is foreseen, 128 + N after signal N, 141 "
        "when the reader of the output is gone.",
    ]
    for name, command in _commands().items():
        parts += [f"## {name}", command.help or "", *_entry_point(name), *_options(command)]
    parts += ["## cache show", "Show entries and size of each step of the step cache. No settings."]
    return "\n\n".join(parts) + "\n"


def _entry_point(name: str) -> list[str]:
    entry_point = next((one for one, command in ENTRY_POINTS.items() if command == name), None)
    if entry_point is None:
        return ["A command only: it logs no run."]
    if entry_point == "main":
        return [f"Entry point `main` of `mlflow run .`, with the parameters {_quoted(MAIN_PARAMETERS)}."]
    call = f"mlflow run . -e {entry_point}"
    return [f"Entry point: `{call}`, with the options below, `config` and `set` as parameters."]


def _options(command: ConfigCommand) -> list[str]:
    settings = command.settings
    own = [one for one in settings.values() if one.option or not one.section]
    sections = dict.fromkeys(one.section.partition(".")[0] for one in settings.values() if one.section)
    links = ", ".join(f"[{name}](configuration.md#{name})" for name in sections)
    table = _table(("option", "value", "default", "meaning"), [_row(one.flag, one) for one in own])
    return [table, f"Sections: {links}."] if links else [table]


def _configuration_page() -> str:
    parts = [f"<!-- {_WRITTEN} -->", "# Configuration", _HOW.strip()]
    parts += [
        "## Environment",
        _table(("variable", "meaning"), [(f"`{n}`", m) for n, m in VARIABLES.items()]),
    ]
    for name, users in _sections().items():
        model = max(users, key=lambda one: len(settings_of(one)))
        rows = [
            (f"`{name}.{one.name}`", f"`--{_dashed(one.option)}`" if one.option else "", *_row("", one)[1:])
            for one in settings_of(model).values()
        ]
        table = _table(("setting", "option", "value", "default", "meaning"), rows)
        parts += [f"## {name}", f"{model.__doc__} {_users(model, users)}", table]
    return "\n\n".join(parts) + "\n"


def _results_page() -> str:
    tables = {
        "Metrics of runs": ("metric", reference_names.METRICS),
        "Tags of runs": ("tag", reference_names.TAGS),
        "Tags of model versions": ("tag", reference_names.VERSION_TAGS),
        "Aliases": ("alias", reference_names.ALIASES),
        "Files of runs": ("file", reference_names.FILES),
        "Errors": ("error", reference_names.ERRORS),
        "Exit codes": ("code", reference_names.EXIT_CODES),
    }
    parts = [
        f"<!-- {_WRITTEN.replace('mlflow_nas/config', 'tools/reference_names.py')} -->",
        "# Names of results",
    ]
    parts += ["`*` stands for any text. The names of the choices are the params `arch.*`."]
    for title, (head, names) in tables.items():
        rows = [(", ".join(f"`{one}`" for one in name.split(", ")), text) for name, text in names.items()]
        parts += [f"## {title}", _table((head, "meaning"), rows)]
    return "\n\n".join(parts) + "\n"


def _users(largest: type[Section], users: dict[type[Section], list[str]]) -> str:
    """The commands that have a section, and those that have a part of it."""
    parts = [f"Settings of {_quoted(users[largest])}"]
    for model, commands in users.items():
        if model is not largest:
            parts.append(f"{_quoted(settings_of(model))} alone of {_quoted(commands)}")
    return f"{'; '.join(parts)}."


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _sections() -> dict[str, dict[type[Section], list[str]]]:
    """Section to its models, and for each the commands that have it."""
    found: dict[str, dict[type[Section], list[str]]] = {}
    for name, command in _commands().items():
        for section, model in _models(command.config):
            found.setdefault(section, {}).setdefault(model, []).append(name)
    return dict(sorted(found.items()))


def _models(config: type[CommandConfig]) -> Iterator[tuple[str, type[Section]]]:
    for name in config.model_fields:
        model = section_of(config, name)
        if model is not None:
            yield name, model


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _row(flag: str, setting: Setting) -> tuple[str, str, str, str]:
    default = f"`{setting.default}`" if setting.default else ""
    return f"`{flag}`", f"`{setting.allowed}`", default, setting.description


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    write(PROJECT)
