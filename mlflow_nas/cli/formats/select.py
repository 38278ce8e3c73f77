"""A selection as text."""

from collections.abc import Mapping
from typing import Any

from mlflow_nas.api import SelectResult
from mlflow_nas.cli.formats.table import format_table, format_ui

__all__ = ["format_select"]

_TOP = 5


def format_select(result: SelectResult) -> str:
    """The strategies best first, those that can be chosen, and the decision."""
    selection, rows = result.selection, result.selection["strategies"]
    likely = sorted(rows, key=lambda row: -row["probability_best"])[:_TOP]
    parts = [
        f"\nEstimation strategies on {selection['samples']} architectures "
        f"(* can't be distinguished from {selection['winner']}; k = {selection['k']}):",
        format_table([_row(row) for row in rows]),
        "\nProbability of being best: "
        + ", ".join(f"{row['name']} {row['probability_best']:.2f}" for row in likely),
        f"Noise ceiling: {_ceiling(selection['noise'])}",
    ]
    parts += [f"Not eligible: {row['name']} {row['excluded']}" for row in rows if row["excluded"]]
    parts.append(f"\nSelected: {selection['selected'] or 'none'} ({selection['reason']})")
    if selection["fallback"]:
        parts.append(f"Or search with the union of {' and '.join(selection['fallback'])}.")
    page = format_ui(result.tracking_uri, result.experiment_id, result.run_id)
    return "\n".join([*parts, f"\nOpen the UI: {page}"])


def _ceiling(noise: Mapping[str, Any] | None) -> str:
    if noise is None:
        return "unknown: no architecture was trained twice"
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
