"""Events of a study, as values that wait on the disk until MLflow has them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mlflow_nas.tracking import names
from mlflow_nas.tracking.batch import Point, as_points
from mlflow_nas.tracking.runs import TrialRun
from mlflow_nas.types import TrialResult

__all__ = ["Event", "Status", "curve_points", "finished", "one_batch", "ordered"]

Status: TypeAlias = Literal["FINISHED", "FAILED", "KILLED"]

MOST_TOGETHER = 200
LATENCY = "latency_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of a run in MLflow.

    Attributes:
        kind: start, values or end of a run; or a file, a text, a table, a model of it.
        trial: of the run; None for the study's run.
        time_ms: time of the event, milliseconds since 1970.
        points: metrics.
        tags: of the run.
        status: of the run at its end.
        curve: points of the learning curve, written where MLflow lacks their step.
        is_new: no process has started this trial before.
        content: further JSON values, by kind.
    """

    kind: Literal["start", "write", "end", "file", "text", "table", "model"]
    trial: TrialRun | None
    time_ms: int
    points: Sequence[Point] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    status: Status | None = None
    curve: Sequence[Point] = ()
    is_new: bool = False
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def uid(self) -> str | None:
        """The trial's uid; None for the study."""
        return None if self.trial is None else self.trial.uid

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}  # asdict copies each value
        return {**own, "trial": None if self.trial is None else self.trial.as_json()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Event":
        """The event read back from `as_json`."""
        own = {name: plain[name] for name in cls.__dataclass_fields__}
        return cls(**{**own, "trial": None if plain["trial"] is None else TrialRun(**plain["trial"])})


def one_batch(events: Iterable[Event]) -> list[Event]:
    """The first events that are delivered together: one run's start, values and end, or one other event."""
    together: list[Event] = []
    for event in events:
        batchable = event.kind in {"start", "write", "end"}
        if together and (not batchable or event.uid != together[0].uid or len(together) == MOST_TOGETHER):
            break
        together.append(event)
        if not batchable or event.kind == "end":
            break
    return together


def finished(trial: TrialRun, result: TrialResult, *, objectives: Sequence[str], time_ms: int) -> Event:
    """The end of a trial: metrics with the objectives first, constraints, the board's facts, its state."""
    tags = {names.STATE: result.state, names.KEY: result.key}
    tags |= {f"{names.FACT}{fact}": str(value) for fact, value in result.facts.items()}
    if result.latency_unstable:
        tags[names.LATENCY_UNSTABLE] = "true"
    if result.error:
        tags[names.ERROR] = result.error
    return Event(
        kind="end",
        trial=trial,
        time_ms=time_ms,
        points=[
            *as_points(ordered(result.metrics, objectives), time_ms),
            *as_points(result.constraints, time_ms, prefix=names.CONSTRAINT),
        ],
        tags=tags,
        status="FAILED" if result.state == "failed" else "FINISHED",
    )


def curve_points(
    history: Sequence[Mapping[str, float]], *, objectives: Sequence[str], time_ms: int
) -> list[Point]:
    """The learning curve as points, the first epoch at step 1."""
    return [
        point
        for epoch, metrics in enumerate(history, start=1)
        for point in as_points(ordered(metrics, objectives), time_ms, step=epoch, prefix=names.CURVE)
    ]


def ordered(metrics: Mapping[str, float], objectives: Sequence[str]) -> dict[str, float]:
    """The metrics in their order in MLflow's UI: objectives, the latency, the rest."""
    first = [name for name in (*objectives, LATENCY) if name in metrics]
    return {name: metrics[name] for name in dict.fromkeys((*first, *metrics))}
