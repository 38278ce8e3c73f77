"""The seed network: the baseline, trained once per study; every architecture starts from its weights.

After a short training from a fresh head the ranking is mostly noise: two seeds agreed at a Kendall tau of
.33, with transferred weights at .96. The baseline starts from them as well, so that all architectures have
had the same training.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.search.once import once
from mlflow_nas.search.store import StudyStore
from mlflow_nas.space import is_whole, load_seed_weights
from mlflow_nas.trial import Listener, StudyContext, run_trial
from mlflow_nas.trial.cache import file_digest
from mlflow_nas.types import TrialResult

__all__ = ["has_seed_network", "lacks_seed_network", "seed_seconds", "seeded", "with_seed_network"]

_VALUE = "nas.seed_network"

OnTrained = Callable[[TrialResult], None]


def has_seed_network(context: StudyContext) -> bool:
    """Whether the given weights are a whole trained network and not only a backbone."""
    weights, space = context.weights, context.space
    return weights is not None and is_whole(weights, space, num_classes=len(context.val.classes))


def lacks_seed_network(context: StudyContext) -> bool:
    """Whether a seed network is to be trained: the space transfers weights, and no whole ones were given."""
    return context.space.transfer is not None and not has_seed_network(context)


def seeded(context: StudyContext) -> StudyContext:
    """The context, with the rates and the frozen parts that suit a whole trained network, if it has one."""
    if context.space.transfer is None or context.weights is None or not has_seed_network(context):
        return context
    return context.with_seed_network(context.weights)


def with_seed_network(
    context: StudyContext, store: StudyStore, *, epochs: int, listener: Listener, on_trained: OnTrained
) -> StudyContext:
    """The context with weights to start from: as given, trained now, or of an earlier call.

    A space without a transfer has no seed network: its architectures start from their own first weights.

    Args:
        context: of the study.
        store: the study; one of its workers trains the network.
        epochs: of its training; 0 for none: architectures then start from the backbone's weights.
        listener: receives the training's events.
        on_trained: receives the result of a training, with its weights.

    Raises:
        CandidateError: the training failed; MachineError: this machine did.
        ConfigError: another machine trained it, and it is neither in the step cache nor in MLflow.
    """
    if not lacks_seed_network(context) or not epochs:
        return seeded(context)

    def train() -> TrialResult:
        listener.step("seed network")
        result = run_trial(
            replace(context, epochs=epochs), context.space.baseline, role="seed", listener=listener
        )
        if result.state != "complete":
            raise CandidateError(f"The seed network can't be trained: {result.error}")
        on_trained(result)
        return result

    known = once(store, _VALUE, lambda: _described(train()))
    return context.with_seed_network(load_seed_weights(_file(context, known, train)))


def seed_seconds(store: StudyStore) -> float:
    """Of the seed network's training; 0 for a study that trained none."""
    return float((store.value(_VALUE) or {}).get("seconds", 0.0))


def _described(result: TrialResult) -> dict[str, object]:
    weights = result.artefacts["weights"]
    return {
        "fingerprint": weights.parent.name,
        "sha256": file_digest(weights),
        "seconds": result.metrics["train_s"],
    }


def _file(context: StudyContext, known: dict[str, str], train: Callable[[], TrialResult]) -> Path:
    """The study's weights on this machine; trained again only where that gives the same bytes."""
    entry = context.cache.find("train", known["fingerprint"])
    weights = entry.file("weights.pth") if entry else train().artefacts["weights"]
    if file_digest(weights) != known["sha256"]:
        raise ConfigError(
            "The seed network of this study was trained on another machine, and is neither in the step cache "
            "nor in MLflow: start MLflow and rerun the command, or give its weights with --weights and "
            "another --study."
        )
    return weights
