"""Costs and speed-ups of searches: cold, amortised and at equal compute, from the logged terms.

Symbols: n samples, k trainings after the search, T seconds of one trial (training and its latency),
P seconds of selecting the strategy, N candidates, q and h seconds per candidate of score and latency.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["FULL", "SearchCosts", "speedup_table"]

Terms: TypeAlias = Mapping[str, float]
FULL = "full"
"""The name of a search without an estimate."""

_ONCE = ("tau", "tau_ci_low", "tau_ci_high", "tau_bbc")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchCosts:
    """One search of a study.

    Attributes:
        study: its name.
        estimator: the strategy, or full.
        terms: as logged.
        qualities: of a full search: quality of its trainings in their order, higher is better.
        trained_on: the processor that trained.
        board: where latency was measured.
    """

    study: str
    estimator: str
    terms: Terms
    qualities: tuple[float, ...] = ()
    trained_on: str = ""
    board: str = ""


def speedup_table(
    searches: Sequence[SearchCosts], *, full_trials: int | None = None
) -> list[dict[str, object]]:
    """A row per strategy with the means over its searches, and the deviation of the best quality.

    The baseline is full training of every trial: B = seed + N_full T. Of an estimate

    - cold: C = seed + n T + P + F + N (q + h) + k T, everything that one search costs;
    - amortised: A = F + N (q + h) + k T, without the seed network, the samples and the selection, which other
      searches share;
    - equal compute: the best quality of the first n + k trainings of the full searches.

    Speed-ups are B / C and B / A. From `break_even` searches with the same samples on they cost less together
    than as many full searches.

    Args:
        searches: at least one.
        full_trials: N_full; None takes the trainings of the full searches, if there are any.

    Returns:
        Rows with the table's columns; None where a term is missing.
    """
    names = sorted({search.estimator for search in searches}, key=lambda name: (name != FULL, name))
    groups = {name: [search for search in searches if search.estimator == name] for name in names}
    baseline_s = _baseline_s(searches, groups.get(FULL, []), full_trials)
    return [_row(name, group, baseline_s, groups.get(FULL, [])) for name, group in groups.items()]


def _baseline_s(
    searches: Sequence[SearchCosts], full: Sequence[SearchCosts], full_trials: int | None
) -> float | None:
    """Seconds of the full search: measured, or `full_trials` times the mean of the measured trials."""
    if full_trials is None:
        return statistics.fmean(_cold(search.terms) for search in full) if full else None
    trial_s = [search.terms["trial_s"] for search in searches if "trial_s" in search.terms]
    seed_s = max(search.terms.get("seed_s", 0.0) for search in searches)
    return seed_s + full_trials * statistics.fmean(trial_s) if trial_s else None


def _amortised(terms: Terms) -> float:
    """`search_s` includes scoring, fitting and measuring latency."""
    return terms.get("search_s", 0.0) + terms.get("post_search_s", 0.0)


def _cold(terms: Terms) -> float:
    shared = ("seed_s", "samples_s", "selection_s")
    return _amortised(terms) + sum(terms.get(name, 0.0) for name in shared)


def _row(
    name: str, group: Sequence[SearchCosts], baseline_s: float | None, full: Sequence[SearchCosts]
) -> dict[str, object]:
    cold = statistics.fmean(_cold(search.terms) for search in group)
    amortised = statistics.fmean(_amortised(search.terms) for search in group) if name != FULL else None
    best = [search.terms["best_quality"] for search in group if "best_quality" in search.terms]
    trainings = _mean(group, "trainings")
    return {
        "strategy": name,
        "searches": len(group),
        **{term: _mean(group, term) for term in _ONCE},
        "init_s": _mean(group, "init_s"),
        "query_s": _mean(group, "query_s"),
        "candidates": _mean(group, "candidates"),
        "search_s": _mean(group, "search_s"),
        "post_search_s": _mean(group, "post_search_s"),
        "samples_s": _mean(group, "samples_s"),
        "selection_s": _mean(group, "selection_s"),
        "cold_s": cold,
        "amortised_s": amortised,
        "speedup_cold": baseline_s / cold if baseline_s and cold else None,
        "speedup_amortised": baseline_s / amortised if baseline_s and amortised else None,
        "break_even": _break_even(baseline_s, cold, amortised),
        "trainings": trainings,
        "trial_s": _mean(group, "trial_s"),
        "best_quality": statistics.fmean(best) if best else None,
        "best_quality_sd": statistics.stdev(best) if len(best) > 1 else None,
        "equal_compute_quality": _equal_compute(trainings, full) if name != FULL else None,
        "hypervolume": _mean(group, "hypervolume"),
        "latency_at_reference_quality_ms": _mean(group, "latency_at_reference_quality_ms"),
        "latency_error": _mean(group, "latency_error"),
        "trained_on": ", ".join(sorted({search.trained_on for search in group} - {""})),
        "board": ", ".join(sorted({search.board for search in group} - {""})),
    }


def _break_even(baseline_s: float | None, cold: float, amortised: float | None) -> float | None:
    """Number of searches with the same samples from which on they cost less together than full training."""
    if baseline_s is None or amortised is None or baseline_s <= amortised:
        return None
    return (cold - amortised) / (baseline_s - amortised)


def _equal_compute(trainings: float | None, full: Sequence[SearchCosts]) -> float | None:
    """Mean best quality of as many trainings of the full searches; None where they have fewer."""
    count = int(trainings or 0)
    found = [max(search.qualities[:count]) for search in full if 0 < count <= len(search.qualities)]
    return statistics.fmean(found) if found else None


def _mean(group: Sequence[SearchCosts], term: str) -> float | None:
    known = [search.terms[term] for search in group if term in search.terms]
    return statistics.fmean(known) if known else None
