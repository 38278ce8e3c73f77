"""A selection in words."""

from collections.abc import Mapping
from typing import Any

from mlflow_nas.cli.words import table, ui_words

__all__ = ["selected_words"]

_TOP = 5


def selected_words(result: Mapping[str, Any]) -> str:
    """The strategies best first, what can be chosen, and the decision."""
    rows = result["strategies"]
    likely = sorted(rows, key=lambda row: -row["probability_best"])[:_TOP]
    parts = [
        f"\nEstimation strategies on {result['samples']} architectures "
        f"(* can't be told apart from {result['winner']}; k = {result['k']}):",
        table([_row(row) for row in rows]),
        "\nProbability of being best: "
        + ", ".join(f"{row['name']} {row['probability_best']:.2f}" for row in likely),
        f"Noise ceiling: {_ceiling(result)}",
    ]
    parts += [f"Not eligible: {row['name']} {row['excluded']}" for row in rows if row["excluded"]]
    parts.append(f"\nSelected: {result['selected'] or 'none'} ({result['reason']})")
    if result["fallback"]:
        parts.append(f"Or search with the union of {' and '.join(result['fallback'])}.")
    return "\n".join([*parts, f"\nOpen the UI: {ui_words(result)}"])


def _ceiling(result: Mapping[str, Any]) -> str:
    if result["noise"] is None:
        return "unknown: no architecture was trained twice"
    noise = result["noise"]
    return (
        f"tau {noise['ceiling']:.2f} between two trainings of {noise['architectures']} architectures, "
        f"standard deviation {noise['deviation']:.4f}"
    )


def _row(row: Mapping[str, Any]) -> dict[str, object]:
    low, high = row["ci"]
    return {
        "": "*" if row["indistinguishable"] else "",
        "strategy": row["name"],
        "family": row["family"],
        "tau": row["tau"],
        "95 %": f"{low:.2f}..{high:.2f}",
        "bbc": row["tau_bbc"],
        "rho": row["spearman"],
        "sparse": row["sparse_tau"],
        "prec@k": row["precision_at_k"],
        "regret@k": row["regret_at_k"],
        "missing": f"{row['missing']:.0%}",
        "inform.": row["informativeness"],
        "~winner": row["tau_to_winner"],
        "p > 0": row["p_value"],
        "p > FLOPs": row["p_value_flops"],
        "s": None if row["seconds"] is None else f"{row['seconds']:.2g}",
    }
