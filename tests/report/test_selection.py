"""The selection's figure and description."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mlflow_nas.report import selection_description, selection_png


def _row(name: str, **known: Any) -> dict[str, Any]:
    row = {"name": name, "family": "zero-cost", "tau": 0.5, "ci": [0.3, 0.7], "tau_bbc": 0.48, "seconds": 0.1}
    row |= {"missing": 0.0, "probability_best": 0.9, "indistinguishable": False, "excluded": None}
    return row | known


def _result(*rows: dict[str, Any], **known: Any) -> dict[str, Any]:
    result = {"strategies": list(rows), "samples": 40, "reason": "zen: tau 0.50 on the sample"}
    return result | {"noise_ceiling": 0.8, "tau_bbc": 0.45, "indistinguishable": ["zen"]} | known


@pytest.mark.parametrize("seconds", [0.1, None, 0.0])
def test_the_figure_is_drawn_with_and_without_costs(tmp_path: Path, seconds: float | None) -> None:
    """Unknown costs, none at all and unknown families are drawn, too."""
    rows = [_row("zen", seconds=seconds), _row("mine", family="other", seconds=seconds, excluded="too slow")]
    path = selection_png(_result(*rows, noise_ceiling=None, tau_bbc=None), tmp_path / "selection.png")
    with Image.open(path) as image:
        assert image.width > 1000


def test_a_strategy_without_any_score_has_no_point(tmp_path: Path) -> None:
    """Strategies without scores are left out of the figure, so that it is as high as its rows."""
    rows = [_row(f"s{number}") for number in range(14)]
    absent = [_row(f"absent{number}", missing=1.0) for number in range(14)]
    few = selection_png(_result(*rows), tmp_path / "few.png").read_bytes()
    assert selection_png(_result(*rows, *absent), tmp_path / "many.png").read_bytes() == few


def test_the_description_names_ties_and_reasons() -> None:
    """A star for ties with the winner, the reason for exclusions, a dash for unknown costs."""
    text = selection_description(
        _result(_row("zen", indistinguishable=True), _row("snip", seconds=None, excluded="misses 9%"))
    )
    assert "| zen * | zero-cost | 0.50 | 0.30..0.70 | 0.48 | 0.90 | 0.1 |" in text
    assert "| snip | zero-cost | 0.50 | 0.30..0.70 | 0.48 | 0.90 | - | misses 9%" in text
    assert "**zen: tau 0.50 on the sample**" in text
