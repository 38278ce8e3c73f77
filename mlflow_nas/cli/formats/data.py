"""The check of a data set as text."""

from mlflow_nas.api import DataCheckResult
from mlflow_nas.cli.formats.table import format_table

__all__ = ["format_data_check"]

_EXAMPLES = 3


def format_data_check(result: DataCheckResult) -> str:
    """Splits, findings with the first places of each, and whether the data can be used."""
    findings = [
        f"{one['severity']:8} {one['count']:6}  {one['reason']}\n{_places(one['examples'], one['count'])}"
        for one in result.findings
    ]
    missing = [f"No {name}: {reason}" for name, reason in result.missing.items()]
    page = [f"Examples are drawn on {result.page}"] if result.page else []
    verdict = "Commands take this data set." if result.usable else "Commands refuse this data set."
    return "\n".join(
        [
            f"Data set {result.uri}, classes {','.join(result.classes)}:",
            format_table(result.splits),
            *missing,
            *(findings or ["Nothing is left out, repeated or suspicious."]),
            *page,
            verdict,
        ]
    )


def _places(examples: list[str], count: int) -> str:
    rest = f"\n{'':17}..." if count > _EXAMPLES else ""
    return "\n".join(f"{'':17}{place}" for place in examples[:_EXAMPLES]) + rest
