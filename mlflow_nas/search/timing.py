"""How long a network takes on the board."""

import logging

from mlflow_nas.search.artefact import Artefact, baseline_artefact
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.types import Latency

__all__ = ["measure"]

_log = logging.getLogger(__name__)


def measure(artefact: Artefact, bench: Workbench) -> Latency:
    """Time the file that ships on the board, in turn with the baseline's; says so when that is unstable.

    Raises:
        BoardError: the board failed; CandidateError: it refuses the file.
    """
    latency = bench.board.measure(artefact.shipped, baseline=baseline_artefact(bench).shipped)
    if latency.unstable:
        _log.warning(
            "The latency on %s is unstable: it varied by %.1f %% in %d attempts, or the board throttled. "
            "Its run is tagged nas.latency_unstable; quieten the board and measure again.",
            latency.board,
            100 * latency.spread,
            latency.attempts,
        )
    return latency
