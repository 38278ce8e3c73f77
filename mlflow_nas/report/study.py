"""What a study's page shows, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow_nas.report.compared_images import ComparedImage
from mlflow_nas.types import Objective, TrialResult

__all__ = ["StudyReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """A study, finished or running.

    Attributes:
        study: its name.
        objectives: what it optimizes, the accuracy first.
        results: its finished trials, by number, with their MLflow runs where they are known.
        given: the detector as it was given; None without one.
        finalists: trained to the end, with intervals.
        champion: key of the network to ship; None where none reaches the goal, and before the end.
        nearest: key of the network that comes nearest to the goal; None with a champion.
        answer: what to ship and why, in sentences; empty before the end.
        settings: what was searched, where and how, by name.
        facts: of the board.
        images: on which the reference and the network to ship are compared.
        thresholds: "reference" and "champion" to score threshold, precision and recall on the images.
        layers: rows of module, reference_ms and champion_ms, the slowest first.
        importance: objective to choice to its share of the variance; empty where it can't be computed.
        hypervolume: after each finished trial; empty without latency ratios.
        selection: of a strategy, as `SelectResult.as_json` gives it; None without one.
        speedups: rows of `speedup_table`.
        seconds: of seed network, trials and finalists.
        runs_page: address that a run's id follows; "" where MLflow is not known.
        charts_page: MLflow's page of the study's charts; "" where MLflow is not known.
        run_id: the study's; None where MLflow is not known.
    """

    study: str
    objectives: tuple[Objective, ...]
    results: tuple[TrialResult, ...]
    given: TrialResult | None = None
    finalists: tuple[TrialResult, ...] = ()
    champion: str | None = None
    nearest: str | None = None
    answer: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    images: tuple[ComparedImage, ...] = ()
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    layers: tuple[Mapping[str, Any], ...] = ()
    importance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    hypervolume: tuple[float, ...] = ()
    selection: Mapping[str, Any] | None = None
    speedups: tuple[Mapping[str, Any], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    runs_page: str = ""
    charts_page: str = ""
    run_id: str | None = None

    @property
    def accuracy(self) -> str:
        """The first objective's name."""
        return self.objectives[0].name

    @property
    def baseline(self) -> TrialResult | None:
        """The baseline as it was trained for longest."""
        key = next((one.key for one in self.results if one.role == "baseline"), None)
        trained = [one for one in (*self.finalists, *self.results) if one.key == key]
        return next((one for one in trained if one.state == "complete"), None)

    @property
    def reference(self) -> TrialResult | None:
        """What everything is compared with: the detector as given, else the baseline."""
        return self.given if self.given is not None and self.given.state == "complete" else self.baseline

    @property
    def shown(self) -> TrialResult | None:
        """The network to ship, or the nearest to the goal."""
        key = self.champion or self.nearest
        return next((one for one in (*self.finalists, *self.results) if one.key == key), None)

    def link(self, result: TrialResult) -> str:
        """The page of a result's run; "" where it is not known."""
        return (
            f"{self.runs_page}{result.run_id}?workflowType=machine_learning"
            if self.runs_page and result.run_id
            else ""
        )
