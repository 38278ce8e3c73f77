"""The seed network: the baseline, trained once per study; every candidate inherits its weights.

A short training from a fresh head ranks noise: two seeds agreed at a Kendall tau of .33, with inherited
weights at .96. The baseline itself starts from them as well: all candidates have had the same training.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mlflow_nas.estimate import complexity
from mlflow_nas.search.book import StudyBook
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.space import is_whole, load_seed_weights, save_weights
from mlflow_nas.train import evaluate_network, fit
from mlflow_nas.types import Evaluation

__all__ = ["needs_seed_network", "with_seed_network"]


def needs_seed_network(bench: Workbench, book: StudyBook) -> bool:
    """Whether there are no weights to inherit yet: none given, none kept from an earlier call."""
    file = _file(bench, book)
    return not _has_seed(bench) and not file.is_file() and not book.fetch_seed(file)


def with_seed_network(
    bench: Workbench, book: StudyBook, *, epochs: int, on_step: Callable[[str], None]
) -> Workbench:
    """The bench with weights to inherit: as given, or trained now, or kept from an earlier call of the study.

    Args:
        bench: what the trials share; one that has weights already is handed back.
        book: where the training is written down, with the weights.
        epochs: of the seed network's training; 0 for none: candidates then start from the backbone's weights.
        on_step: told "seed", then "epoch" after each epoch.

    Raises:
        CandidateError: the training diverged.
        RegistryError: MLflow does not answer.
    """
    if _has_seed(bench) or epochs == 0:
        return bench
    if needs_seed_network(bench, book):
        _train(bench, book, epochs=epochs, on_step=on_step)
    return replace(bench, weights=load_seed_weights(_file(bench, book))).inheriting()


def _has_seed(bench: Workbench) -> bool:
    """Whether the bench's weights are a whole seed network, not only a start of its training."""
    return bench.weights is not None and is_whole(bench.weights, bench.space)


def _file(bench: Workbench, book: StudyBook) -> Path:
    """Named after the study's run: one of the same name in another experiment has its own."""
    return bench.folder / f"seed-{book.parent_id}" / "weights.pth"


def _train(bench: Workbench, book: StudyBook, *, epochs: int, on_step: Callable[[str], None]) -> None:
    on_step("seed")
    baseline = bench.space.baseline
    run_id = book.start_seed(bench.space.key(baseline))
    file = _file(bench, book)
    checkpoint = file.with_name("training.ckpt")
    try:
        network = bench.build(baseline)
        data = bench.data(baseline)
        fitted = fit(
            network,
            data,
            epochs=epochs,
            seed=bench.seed,
            recipe=bench.recipe,
            kept=bench.kept(network),
            on_epoch=lambda _number, _metrics: on_step("epoch"),
            checkpoint=checkpoint,
        )
        evaluation = Evaluation(
            number=0,
            key=bench.space.key(baseline),
            architecture=dict(baseline),
            state="complete",
            metrics={
                **complexity(network, bench.input_size(baseline)),
                **fitted.metrics,
                **evaluate_network(network, data),
            },
            history=fitted.history,
            run_id=run_id,
        )
        book.finish_seed(evaluation, save_weights(network, file))
        checkpoint.unlink(missing_ok=True)
    except BaseException:
        book.interrupt(run_id)
        raise
