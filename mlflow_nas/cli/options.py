"""Options of a command, made from its configuration: names, ranges, defaults and help stand in one place."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import click
from click.shell_completion import CompletionItem

from mlflow_nas.config import CommandConfig, Setting, section_of, settings_of

__all__ = ["ConfigCommand"]

_GENERAL = "General"
_CONFIGURATION = "Configuration"
_OUTPUT = "Output"


class ConfigCommand(click.Command):
    """A command whose options are the settings of its configuration that have one of their own.

    Values stay text: the configuration checks them. Only what the user gave reaches the command's function.
    Every other setting is given by `--set` or `--config`, and listed in the help.
    """

    def __init__(self, *args: Any, config: type[CommandConfig], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config = config
        self.settings = settings_of(config)
        own = [_param(setting) for setting in self.settings.values() if setting.option]
        self.params = [*own, *(_configuration() if self.settings else []), _json()]

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function with what was given."""
        ctx.params = {name: value for name, value in ctx.params.items() if value not in (None, ())}
        return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and name `--set` where a setting without an option is typed as one."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            typed = error.option_name.lstrip("-").replace("-", "_")
            near = next((name for name in self.settings if name.rpartition(".")[2] == typed), None)
            if near is None:
                raise
            raise click.UsageError(
                f"No such option: {error.option_name}. Write --set {near}=VALUE.", ctx
            ) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in groups, then the settings of `--set`."""
        records = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        records |= {one.option: _argument_row(one) for one in self.settings.values() if one.is_argument}
        for section, settings in _by_section(self.settings):
            rows = [records[setting.option] for setting in settings if setting.option]
            _write(formatter, self._title(section), rows)
        _write(formatter, _CONFIGURATION, [records.get("config"), records.get("set")])
        _write(formatter, _OUTPUT, [records["as_json"], *_help(self, ctx)])
        for section, settings in _by_section(self.settings):
            rows = [_row(setting) for setting in settings if not setting.option]
            _write(formatter, f"Settings of --set, {self._title(section)}", rows)

    def _title(self, section: str) -> str:
        """The first word of the section's docstring."""
        model = section_of(self.config, section)
        return (model.__doc__ or "").partition(":")[0] if model else _GENERAL


def _help(command: click.Command, ctx: click.Context) -> list[tuple[str, str] | None]:
    option = command.get_help_option(ctx)
    return [] if option is None else [option.get_help_record(ctx)]


def _by_section(settings: Mapping[str, Setting]) -> list[tuple[str, list[Setting]]]:
    """The settings of each section; the top level first."""
    ordered = sorted(settings.values(), key=lambda setting: setting.section != "")
    return [(section, list(group)) for section, group in groupby(ordered, lambda setting: setting.section)]


def _write(formatter: click.HelpFormatter, title: str, rows: list[tuple[str, str] | None]) -> None:
    shown = [row for row in rows if row is not None]
    if shown:
        with formatter.section(title):
            formatter.write_dl(shown)


def _row(setting: Setting) -> tuple[str, str]:
    return f"{setting.name} {setting.allowed}", f"{setting.description}{_default(setting)}"


def _default(setting: Setting) -> str:
    return f"  [default: {setting.default}]" if setting.default else ""


def _argument_row(setting: Setting) -> tuple[str, str]:
    return setting.flag, f"{setting.description}{_default(setting)}"


def _param(setting: Setting) -> click.Parameter:
    if setting.is_argument:
        return click.Argument([setting.option], required=False, metavar=setting.flag)
    return _option(setting)


def _option(setting: Setting) -> click.Option:
    # A switch may be given alone, and with a value, as a project parameter always is.
    switch: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if setting.is_flag else {}
    several = "; may be repeated" if setting.repeatable else ""
    return click.Option(
        [setting.flag, setting.option],
        metavar=setting.allowed,
        multiple=setting.repeatable,
        help=f"{setting.description}{several}{_default(setting)}",
        shell_complete=_complete,
        **switch,
    )


def _complete(_ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """The choices of an option that has some, else files; what a user writes for itself is in capitals."""
    choices = str(param.metavar).split("|")
    found = [CompletionItem(one) for one in choices if one.startswith(typed) and one == one.lower()]
    if len(choices) > 1 and (found or not any(one.startswith("FILE") for one in choices)):
        return found
    return [CompletionItem(typed, type="file")]


def _configuration() -> list[click.Option]:
    return [
        click.Option(["--config"], metavar="FILE", help="YAML file of settings; options win over it"),
        click.Option(
            ["--set"],
            metavar="NAME=VALUE",
            multiple=True,
            help="Any setting by its dotted name, several between blanks; may be repeated",
        ),
    ]


def _json() -> click.Option:
    return click.Option(["--json", "as_json"], is_flag=True, help="Print the result as one JSON object")
