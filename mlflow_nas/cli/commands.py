"""The commands; what they do is in `mlflow_nas.api`."""

import sys

import click

from mlflow_nas import api
from mlflow_nas.cli.board_words import examined_words, focused_words, listed_words, profiled_words
from mlflow_nas.cli.options import config_file, config_options
from mlflow_nas.cli.output import result_of
from mlflow_nas.cli.report_words import reported_words
from mlflow_nas.cli.select_words import selected_words
from mlflow_nas.cli.words import (
    deployed_words,
    evaluated_words,
    promoted_words,
    rolled_back_words,
    searched_words,
    trained_words,
)
from mlflow_nas.config import (
    BoardsConfig,
    DeployConfig,
    DoctorConfig,
    EvaluateConfig,
    FocusConfig,
    ProfileConfig,
    PromoteConfig,
    ReportConfig,
    RollbackConfig,
    SearchConfig,
    SelectConfig,
    TrainConfig,
)

__all__ = ["main"]


@click.group(context_settings={"max_content_width": 110})
@click.version_option(package_name="mlflow-nas")
def main() -> None:
    """Hardware-aware neural architecture search in MLflow."""


@main.command()
@config_options(SearchConfig)
def search(*, config: str, as_json: bool, **options: str) -> None:
    """Search architectures; promote the Pareto front, deploy the champion (entry point main)."""
    from mlflow_nas.cli.progress import Bar

    result_of(
        lambda: api.search(config=config_file(config), progress=Bar(), **options),
        as_json=as_json,
        show=searched_words,
    )


@main.command()
@config_options(SelectConfig)
def select(*, config: str, as_json: bool, **options: str) -> None:
    """Choose the estimation strategy that a search may trust, on trained samples or on a table."""
    from mlflow_nas.cli.progress import Bar

    result_of(
        lambda: api.select(
            config=config_file(config),
            progress=Bar(),
            on_step=lambda step: click.echo(step, err=True),
            **options,
        ),
        as_json=as_json,
        show=selected_words,
    )


@main.command()
@config_options(ReportConfig)
def report(*, config: str, as_json: bool, **options: str) -> None:
    """Say what searches cost and what that bought: the speed-up cold, amortised, at equal compute."""
    result_of(lambda: api.report(config=config_file(config), **options), as_json=as_json, show=reported_words)


@main.command()
@config_options(TrainConfig)
def train(*, config: str, as_json: bool, **options: str) -> None:
    """Train, quantize and time one architecture, as one run."""
    result_of(
        lambda: api.train(
            config=config_file(config), on_step=lambda step: click.echo(step, err=True), **options
        ),
        as_json=as_json,
        show=trained_words,
    )


@main.command()
@config_options(EvaluateConfig)
def evaluate(*, config: str, as_json: bool, **options: str) -> None:
    """Measure the mAP of a detector: a state dict, an MLflow model or an ONNX file, float or int8."""
    result_of(
        lambda: api.evaluate(config=config_file(config), **options), as_json=as_json, show=evaluated_words
    )


@main.command()
@config_options(ProfileConfig)
def profile(*, config: str, as_json: bool, **options: str) -> None:
    """Show where a model's time goes on a board, per module, in float and int8."""
    result_of(
        lambda: api.profile(config=config_file(config), **options), as_json=as_json, show=profiled_words
    )


@main.command()
@config_options(FocusConfig)
def focus(*, config: str, as_json: bool, **options: str) -> None:
    """Say which choices act on the bottleneck, and how large the space of them is."""
    result_of(lambda: api.focus(config=config_file(config), **options), as_json=as_json, show=focused_words)


@main.command()
@config_options(BoardsConfig)
def boards(*, config: str, as_json: bool, **options: str) -> None:
    """List the devices: whether they are ready, and what they are."""
    result_of(lambda: api.boards(config=config_file(config), **options), as_json=as_json, show=listed_words)


@main.command()
@config_options(DoctorConfig)
def doctor(*, config: str, as_json: bool, **options: str) -> None:
    """Say what is missing on a device and the command that mends it; exit code 1 when it can't be used."""
    result = result_of(
        lambda: api.doctor(config=config_file(config), **options), as_json=as_json, show=examined_words
    )
    sys.exit(0 if result["ready"] else 1)


@main.command()
@config_options(PromoteConfig)
def promote(*, config: str, as_json: bool, **options: str) -> None:
    """Recompute the Pareto front of a registered model; set tags and aliases."""
    result_of(
        lambda: api.promote(config=config_file(config), **options), as_json=as_json, show=promoted_words
    )


@main.command()
@config_options(DeployConfig)
def deploy(*, config: str, as_json: bool, **options: str) -> None:
    """Make a model version the active one on a device."""
    result_of(lambda: api.deploy(config=config_file(config), **options), as_json=as_json, show=deployed_words)


@main.command()
@config_options(RollbackConfig)
def rollback(*, config: str, as_json: bool, **options: str) -> None:
    """Make the version before active again on a device."""
    result_of(
        lambda: api.rollback(config=config_file(config), **options), as_json=as_json, show=rolled_back_words
    )
