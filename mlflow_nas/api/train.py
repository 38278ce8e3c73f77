"""`mlflow_nas train`: one architecture, one run."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.config import TrainConfig, load_config, take_project_run_id, work_root

if TYPE_CHECKING:
    from mlflow_nas.space import SearchSpace, Value

__all__ = ["train"]


def train(
    *, config: Path | None = None, on_step: Callable[[str], None] = lambda _step: None, **options: object
) -> dict[str, object]:
    """Train, quantize and time one architecture, logged as exactly one run.

    Args:
        config: a YAML file with options.
        on_step: told the name of each step.
        options: fields of `mlflow_nas.config.TrainConfig`.

    Returns:
        The evaluation: run_id, key, architecture, metrics, files.

    Raises:
        ConfigError: an option, data or weights; CandidateError: the architecture can't be trained;
        BoardError: the hardware failed; RegistryError: MLflow does not answer.
    """
    chosen = load_config(TrainConfig, options, file=config)
    from mlflow_nas.api.bench import make_bench
    from mlflow_nas.api.runs import experiment_for
    from mlflow_nas.errors import NasError
    from mlflow_nas.search import Candidate, evaluate_candidate, failed_evaluation
    from mlflow_nas.tracking import (
        connect,
        default_uri,
        finish_trial,
        interrupt_trial,
        log_dataset,
        start_trial,
    )

    project_run = take_project_run_id()
    bench = make_bench(chosen, folder=work_root() / "train", max_latency_ms=None)
    architecture = _architecture(chosen, bench.space)
    client = connect(default_uri())
    run_id = start_trial(
        client,
        experiment_id=experiment_for(client, project_run, chosen.experiment),
        parent_id=None,
        study=None,
        number=0,
        role="trial",
        name=bench.space.key(architecture),
        tags={**bench.tags, "nas.skipped_images": str(bench.skipped)},
        run_id=project_run,
    )
    candidate = Candidate(architecture=architecture, bench=bench, number=0, run_id=run_id)
    try:
        log_dataset(client, run_id, bench.train, context="training")
        log_dataset(client, run_id, bench.val, context="validation")
        evaluation = evaluate_candidate(candidate, on_step=on_step)
    except NasError as error:
        finish_trial(client, run_id, failed_evaluation(candidate, error))
        raise
    except BaseException:  # its checkpoint stays: the same command goes on with the training
        interrupt_trial(client, run_id)
        raise
    finish_trial(client, run_id, evaluation)
    candidate.checkpoint.unlink(missing_ok=True)
    return evaluation.as_json()


def _architecture(config: TrainConfig, space: "SearchSpace") -> dict[str, "Value"]:
    """The baseline, changed by --arch, then by the options that name a parameter."""
    from mlflow_nas.space import read_architecture

    chosen: dict[str, object] = dict(read_architecture(space, config.arch) if config.arch else space.baseline)
    for name in ("kernel_size", "groups", "channels", "img_width"):
        value = getattr(config, name)
        if value != type(config).model_fields[name].default:
            space.parameter(name)
            chosen[name] = value
    return space.validate(chosen)
