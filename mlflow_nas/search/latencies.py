"""Latency of many candidates: measured untrained, or predicted from those that were measured."""

import json
import logging
import time
from collections.abc import Iterable, Mapping

from mlflow_nas.errors import CandidateError
from mlflow_nas.search.artefact import make_artefact
from mlflow_nas.search.timing import measure
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.types import Architecture, Evaluation

__all__ = ["LatencyBook"]

_log = logging.getLogger(__name__)


class LatencyBook:
    """Latencies that were measured on the board; a killed process loses none.

    Args:
        bench: board, space and folder of the study.
        trials: evaluations of the study; their latencies are known.
    """

    def __init__(self, bench: Workbench, trials: Iterable[Evaluation]) -> None:
        self._bench = bench
        self._file = bench.folder / "estimate" / "latencies.jsonl"
        self.known = {e.key: e.metrics["latency_ms"] for e in trials if "latency_ms" in e.metrics}
        self.seconds = 0.0
        """What measuring took, that of earlier calls included; trials have paid for theirs."""
        for line in self._file.read_text(encoding="utf-8").splitlines() if self._file.is_file() else ():
            self._remember(json.loads(line))

    def measure(self, architectures: Iterable[Architecture], *, enough: int) -> None:
        """Time architectures on the board, untrained, until so many latencies are known.

        One that the board refuses is left out, with a warning.

        Raises:
            BoardError: the board failed; what was measured is kept.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        for architecture in architectures:
            if len(self.known) >= enough:
                return
            key = self._bench.space.key(architecture)
            if key not in self.known:
                self._measure(key, architecture)

    def _measure(self, key: str, architecture: Architecture) -> None:
        began = time.monotonic()
        folder = self._bench.folder / "estimate" / "untrained"
        try:
            network = self._bench.build(architecture)
            artefact = make_artefact(network, architecture, bench=self._bench, folder=folder)
            latency = measure(artefact, self._bench)
        except CandidateError as error:
            _log.warning("The candidate %s has no latency and is left out: %s", key, error)
            return
        entry: dict[str, str | float] = {
            "key": key,
            "latency_ms": latency.p50_ms,
            "seconds": time.monotonic() - began,
        }
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        self._remember(entry)

    def _remember(self, entry: Mapping[str, float | str]) -> None:
        self.known.setdefault(str(entry["key"]), float(entry["latency_ms"]))
        self.seconds += float(entry["seconds"])
