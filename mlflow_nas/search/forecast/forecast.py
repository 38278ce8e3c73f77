"""The forecast of a study's search, measured once per machine and study's inputs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlflow_nas.search.forecast.routes import Route, Workload, make_routes, recommend
from mlflow_nas.search.forecast.timings import Timings, measure_timings
from mlflow_nas.train import training_processor
from mlflow_nas.trial import StudyContext, fingerprint

__all__ = ["Forecast", "known_timings", "make_forecast"]

VERSION = 1
"""Of what is measured, raised by a change that alters it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a search within a budget takes, and which way it should go.

    Attributes:
        budget_s: seconds.
        size: architectures of the space.
        timings: measured.
        routes: the ways through the search.
        route: the recommended one.
        because: why it is recommended.
    """

    budget_s: float
    size: int
    timings: Timings
    routes: tuple[Route, ...]
    route: Route
    because: str

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @property
    def metrics(self) -> dict[str, float]:
        """As a run logs them: seconds and trainings of every route, and what they were computed from."""
        timings = self.timings
        found = {
            f"plan.{one.name}/{name}": float(value)
            for one in self.routes
            for name, value in {
                "seconds": one.seconds.mean,
                "seconds_low": one.seconds.low,
                "seconds_high": one.seconds.high,
                "trials": one.trials,
                "candidates": one.candidates,
            }.items()
        }
        found |= {f"plan.query_s/{name}": seconds for name, seconds in timings.queries.items()}
        found |= {f"plan.step_s/{name}": seconds for name, seconds in timings.steps.items()}
        spans = {"trial": timings.trial, "finalist": timings.finalist, "seed": timings.seed}
        return {**found, **{f"plan.{name}_s": span.mean for name, span in spans.items()}}


def make_forecast(
    context: StudyContext, work: Workload, *, finishing_epochs: int, seed_epochs: int
) -> Forecast:
    """Measure the parts of a search, and forecast the ways through it.

    Args:
        context: of the study, with its seed network where that is given.
        work: budget, size and finalists.
        finishing_epochs: of a training to the end.
        seed_epochs: of the seed network's training; 0 where its weights are given.

    Raises:
        CandidateError: the baseline or the smallest network can't be trained or measured.
        BoardError: the board failed; MachineError: this machine failed.
    """
    timings = known_timings(context, finishing_epochs=finishing_epochs, seed_epochs=seed_epochs)
    routes = tuple(make_routes(timings, work))
    route, because = recommend(routes, work.size)
    return Forecast(
        budget_s=work.budget_s, size=work.size, timings=timings, routes=routes, route=route, because=because
    )


def known_timings(context: StudyContext, *, finishing_epochs: int, seed_epochs: int) -> Timings:
    """The timings of a study on this machine, measured where the step cache has none.

    Raises:
        CandidateError, BoardError, MachineError: as `measure_timings`.
    """

    def measure(_folder: object) -> Mapping[str, Any]:
        return measure_timings(context, finishing_epochs=finishing_epochs, seed_epochs=seed_epochs).as_json()

    key = fingerprint(
        version=VERSION,
        study=context.fixed_inputs(),
        board=context.board.identity(),
        processor=[training_processor(), context.threads],
        epochs=[finishing_epochs, seed_epochs],
    )
    return Timings.from_json(context.cache.make("forecast", key, measure).values)
