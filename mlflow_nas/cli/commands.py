"""The commands; each calls its function of `mlflow_nas.api`."""

import errno
import sys
from typing import Any

import click

from mlflow_nas import api
from mlflow_nas.cli import formats
from mlflow_nas.cli.options import ConfigCommand
from mlflow_nas.cli.output import reserve_streams, run_command
from mlflow_nas.cli.progress import with_progress
from mlflow_nas.cli.runtimes import runtimes
from mlflow_nas.cli.steps import with_steps
from mlflow_nas.cli.webhook import webhook
from mlflow_nas.config import (
    BoardsConfig,
    CachePruneConfig,
    CompareConfig,
    DataCheckConfig,
    DeployConfig,
    DoctorConfig,
    EvaluateConfig,
    FocusConfig,
    PinConfig,
    ProfileConfig,
    PromoteConfig,
    PublishConfig,
    RegisterConfig,
    ReportConfig,
    RollbackConfig,
    SearchConfig,
    SelectConfig,
    SensitivityConfig,
    StatusConfig,
    TrainConfig,
    WatchConfig,
)
from mlflow_nas.threads import use_passive_threads

__all__ = ["main"]


class _Main(click.Group):
    """All commands; a help text that can't be written is one sentence, too."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            sys.exit(f"mlflow_nas: the help can't be written: {error.strerror}.")


@click.group(cls=_Main, context_settings={"max_content_width": 110})
@click.version_option(package_name="mlflow-nas")
def main() -> None:
    """Hardware-aware neural architecture search in MLflow."""
    use_passive_threads()  # before a command imports torch
    reserve_streams()


@main.command(cls=ConfigCommand, config=SearchConfig)
def search(*, as_json: bool, **options: Any) -> None:
    """Search architectures, promote the Pareto front, deploy the champion (entry point main)."""
    run_command(
        with_progress(lambda bar: api.search(progress=bar, **options)),
        as_json=as_json,
        show=formats.format_search,
    )


@main.command(cls=ConfigCommand, config=SearchConfig)
def finish(*, as_json: bool, **options: Any) -> None:
    """Train the best of a study to the end, promote and deploy; takes the options of its search."""
    run_command(
        with_progress(lambda bar: api.finish(progress=bar, **options)),
        as_json=as_json,
        show=formats.format_search,
    )


@main.command(cls=ConfigCommand, config=SearchConfig)
def plan(*, as_json: bool, **options: Any) -> None:
    """Forecast a search within --budget and recommend its way; takes the options of the search."""
    run_command(with_steps(lambda _steps: api.plan(**options)), as_json=as_json, show=formats.format_plan)


@main.command(cls=ConfigCommand, config=SelectConfig)
def select(*, as_json: bool, **options: Any) -> None:
    """Select the estimation strategy of a search, on trained samples of a study or on a table."""
    run_command(
        with_progress(
            lambda bar: api.select(progress=bar, on_step=lambda name: bar.step(None, name), **options)
        ),
        as_json=as_json,
        show=formats.format_select,
    )


@main.command(cls=ConfigCommand, config=TrainConfig)
def train(*, as_json: bool, **options: Any) -> None:
    """Train, quantize and time one architecture, as one run."""
    run_command(
        with_steps(lambda steps: api.train(listener=steps, **options)),
        as_json=as_json,
        show=formats.format_train,
    )


@main.command(cls=ConfigCommand, config=EvaluateConfig)
def evaluate(*, as_json: bool, **options: Any) -> None:
    """Measure the accuracy of a model: a state dict, an MLflow model or an ONNX file, float or int8."""
    run_command(
        with_steps(lambda steps: api.evaluate(on_step=steps.step, **options)),
        as_json=as_json,
        show=formats.format_evaluate,
    )


@main.command(cls=ConfigCommand, config=ProfileConfig)
def profile(*, as_json: bool, **options: Any) -> None:
    """Show the time of each module of a model on a board, in float and int8."""
    run_command(
        with_steps(lambda steps: api.profile(on_step=steps.step, **options)),
        as_json=as_json,
        show=formats.format_profile,
    )


@main.command(cls=ConfigCommand, config=SensitivityConfig)
def sensitivity(*, as_json: bool, **options: Any) -> None:
    """Show what int8 costs in each layer of a float detector."""
    run_command(
        with_steps(lambda _steps: api.sensitivity(**options)),
        as_json=as_json,
        show=formats.format_sensitivity,
    )


@main.command(cls=ConfigCommand, config=FocusConfig)
def focus(*, as_json: bool, **options: Any) -> None:
    """Suggest a search space of the choices that act on the bottleneck."""
    run_command(with_steps(lambda _steps: api.focus(**options)), as_json=as_json, show=formats.format_focus)


@main.command(cls=ConfigCommand, config=BoardsConfig)
def boards(*, as_json: bool, **options: Any) -> None:
    """List the devices, their state and their hardware."""
    run_command(with_steps(lambda _steps: api.boards(**options)), as_json=as_json, show=formats.format_boards)


@main.command(cls=ConfigCommand, config=DoctorConfig)
def doctor(*, as_json: bool, **options: Any) -> None:
    """Show what is missing on a device and the command that fixes it; exit code 1 when it can't be used."""
    result = run_command(
        with_steps(lambda _steps: api.doctor(**options)), as_json=as_json, show=formats.format_doctor
    )
    sys.exit(0 if result.ready else 1)


@main.command(cls=ConfigCommand, config=PromoteConfig)
def promote(*, as_json: bool, **options: Any) -> None:
    """Recompute the Pareto front of a registered model; set tags and aliases."""
    run_command(
        with_steps(lambda _steps: api.promote(**options)), as_json=as_json, show=formats.format_promote
    )


@main.command(cls=ConfigCommand, config=RegisterConfig)
def register(*, as_json: bool, **options: Any) -> None:
    """Measure any ONNX model as a search measures its own, register it, and promote."""
    run_command(
        with_steps(lambda _steps: api.register(**options)), as_json=as_json, show=formats.format_register
    )


@main.command(cls=ConfigCommand, config=PinConfig)
def pin(*, as_json: bool, **options: Any) -> None:
    """Keep an alias at a version, whatever is promoted later; --remove gives it back."""
    run_command(lambda: api.pin(**options), as_json=as_json, show=formats.format_pin)


@main.command(cls=ConfigCommand, config=DeployConfig)
def deploy(*, as_json: bool, **options: Any) -> None:
    """Make a model version the active one on a device."""
    run_command(
        with_steps(lambda steps: api.deploy(on_step=steps.step, **options)),
        as_json=as_json,
        show=formats.format_deploy,
    )


@main.command(cls=ConfigCommand, config=PublishConfig)
def publish(*, as_json: bool, **options: Any) -> None:
    """Offer a version to devices that pull it, and show what they have reported."""
    run_command(
        with_steps(lambda _steps: api.publish(**options)), as_json=as_json, show=formats.format_publish
    )


@main.command(cls=ConfigCommand, config=RollbackConfig)
def rollback(*, as_json: bool, **options: Any) -> None:
    """Make the previous version active again on a device."""
    run_command(
        with_steps(lambda _steps: api.rollback(**options)), as_json=as_json, show=formats.format_rollback
    )


@main.command(cls=ConfigCommand, config=ReportConfig)
def report(*, as_json: bool, **options: Any) -> None:
    """Write the page of a study: what to ship and why; compare costs and results of searches."""
    run_command(with_steps(lambda _steps: api.report(**options)), as_json=as_json, show=formats.format_report)


@main.command(cls=ConfigCommand, config=CompareConfig)
def compare(*, as_json: bool, **options: Any) -> None:
    """Draw two detectors' boxes and times side by side on images or a video, as a GIF or MP4 file."""
    run_command(
        with_steps(lambda steps: api.compare(on_step=steps.step, **options)),
        as_json=as_json,
        show=formats.format_compare,
    )


@main.command(cls=ConfigCommand, config=StatusConfig)
def status(*, as_json: bool, **options: Any) -> None:
    """Show the trials of a study, finished and running, from its storage."""
    run_command(lambda: api.status(**options), as_json=as_json, show=formats.format_status)


@main.command(cls=ConfigCommand, config=WatchConfig)
def watch(*, as_json: bool, **options: Any) -> None:
    """Promote, and deploy each new champion, whenever the registry has changed; on any MLflow."""
    run_command(lambda: api.watch(**options), as_json=as_json, show=formats.format_watch)


main.add_command(webhook)


@main.group()
def cache() -> None:
    """Show or prune the step cache, which holds the results of trials' steps."""


@cache.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object")
def show(*, as_json: bool) -> None:
    """Show entries and size of each step."""
    run_command(api.cache_show, as_json=as_json, show=formats.format_cache)


@cache.command(cls=ConfigCommand, config=CachePruneConfig)
def prune(*, as_json: bool, **options: Any) -> None:
    """Remove the least recently used entries."""
    run_command(lambda: api.cache_prune(**options), as_json=as_json, show=formats.format_cache)


main.add_command(runtimes)


@main.group()
def data() -> None:
    """Check data sets."""


@data.command(cls=ConfigCommand, config=DataCheckConfig)
def check(*, as_json: bool, **options: Any) -> None:
    """Show what is left out of a data set, and what is suspicious; exit code 2 when commands refuse it."""
    result = run_command(
        with_steps(lambda _steps: api.data_check(**options)), as_json=as_json, show=formats.format_data_check
    )
    sys.exit(0 if result.usable else 2)
