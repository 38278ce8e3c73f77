"""95 % intervals of accuracies and of their differences to the reference, by a bootstrap over images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.tasks import interval
from mlflow_nas.trial import StudyContext, file_digest, fingerprint
from mlflow_nas.types import TrialResult

__all__ = ["interval_metrics", "with_intervals"]

_SUFFIXES = ("_ci_low", "_ci_high", "_difference", "_seed_sd")


def with_intervals(
    context: StudyContext,
    results: Sequence[TrialResult],
    reference: TrialResult | None,
    *,
    seed_sd: float | None = None,
) -> list[TrialResult]:
    """Results with the interval of their accuracy, and of its difference to the reference's.

    Adds, for the task's objective such as `map`, `map_ci_low`, `map_ci_high`, and with a reference
    `map_difference`, `map_difference_ci_low`, `map_difference_ci_high`. A result whose outputs are not on
    this machine stays as it is.

    Args:
        context: of the study.
        results: trained with one seed each.
        reference: what they are compared with: the detector as given, which no seed has moved, or one of the
            results; None for no comparison.
        seed_sd: standard deviation over seeds, which is added to the draws and kept as `map_seed_sd`; None
            where it is not known.
    """
    draws = None if reference is None else _draws(context, reference)
    if draws is not None and reference is not None and reference.role != "reference":
        draws = _with_seed_noise(draws, seed_sd, seed=1)
    return [_with_interval(context, one, reference, draws, seed_sd) for one in results]


def interval_metrics(result: TrialResult) -> dict[str, float]:
    """The metrics that `with_intervals` adds."""
    return {name: value for name, value in result.metrics.items() if name.endswith(_SUFFIXES)}


def _with_interval(
    context: StudyContext,
    result: TrialResult,
    reference: TrialResult | None,
    reference_draws: NDArray[np.float64] | None,
    seed_sd: float | None,
) -> TrialResult:
    draws = _draws(context, result)
    if draws is None:
        return result
    name = context.task.metrics[0]
    draws = _with_seed_noise(draws, seed_sd, seed=0)
    low, high = interval(draws)
    added = {f"{name}_ci_low": low, f"{name}_ci_high": high}
    added |= {} if seed_sd is None else {f"{name}_seed_sd": seed_sd}
    if reference is not None and reference_draws is not None and result is not reference:
        low, high = interval(draws - reference_draws)
        added |= {
            f"{name}_difference": result.metrics[name] - reference.metrics[name],
            f"{name}_difference_ci_low": low,
            f"{name}_difference_ci_high": high,
        }
    return replace(result, metrics={**result.metrics, **added})


def _with_seed_noise(draws: NDArray[np.float64], seed_sd: float | None, *, seed: int) -> NDArray[np.float64]:
    """Images and seeds are independent: their variances add up."""
    if seed_sd is None:
        return draws
    return draws + np.random.default_rng(seed).normal(0, seed_sd, draws.shape)


def _draws(context: StudyContext, result: TrialResult) -> NDArray[np.float64] | None:
    """The objective over draws of the validation images; kept in the step cache."""
    record = result.artefacts.get("detections")
    if record is None or not record.is_file():
        return None
    copies = context.val.eval_augmentations
    entry = context.cache.make(
        "bootstrap",
        fingerprint(record=file_digest(record), copies=copies, task=context.task.name),
        lambda _folder: {"draws": context.task.bootstrap(record, copies=copies).tolist()},
    )
    return np.array(entry.values["draws"])
