"""Which shared service saturates first: a discrete-event simulation of a search by many workers.

A worker claims a trial and stores its result in the database, trains, has its files timed on a board, and
writes its run to an MLflow server and, of members of the front, files to the artifact store. A service has
places, a queue in order of arrival, and a service time; parameters are those of scale_costs.py and of real
trials. A worker's time for a claim grows with the trials that run, because it reads them.

    python benchmarks/scale_simulation.py --workers 10,100,1000 --boards 50
"""

import argparse
import heapq
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from common import table

DATABASE, TRACKING, BOARDS, ARTIFACTS = "database", "tracking server", "boards", "artifact store"
TRAINING, WORKER = "training", "worker"
"""What a worker does alone."""


class Costs(NamedTuple):
    """Seconds of one trial, by what takes them.

    Attributes:
        train_s: of training, export, quantization, evaluation; the mean of a lognormal distribution.
        train_cv: its coefficient of variation.
        board_s: a measurement.
        claim_s: of a claim and a result in the database.
        reading_s, reading_running_s: of the worker while it claims, and for each running trial more.
        beat_s: a heartbeat, every ten seconds of a trial.
        tracking_s: a trial's run with its curve.
        artifact_s: an upload; share: of the trials that have one.
        share: of the trials on the front when they end.
    """

    train_s: float = 1200.0
    train_cv: float = 0.3
    board_s: float = 20.0
    claim_s: float = 0.04
    reading_s: float = 0.14
    reading_running_s: float = 0.0011
    beat_s: float = 0.004
    tracking_s: float = 0.76
    artifact_s: float = 0.1
    share: float = 0.02


class Places(NamedTuple):
    """How many requests each service handles at once."""

    database: int = 4
    tracking: int = 4
    boards: int = 50
    artifacts: int = 4


@dataclass
class Service:
    """Places and a queue in order of arrival."""

    places: int
    busy_s: float = 0.0
    waited_s: float = 0.0
    served: int = 0
    _free: list[float] = field(default_factory=list)

    def serve(self, now: float, seconds: float) -> float:
        """When a request that arrives now is done."""
        has_room = len(self._free) < self.places
        start = now if has_room else max(heapq.heappop(self._free), now)
        heapq.heappush(self._free, start + seconds)
        self.busy_s += seconds
        self.waited_s += start - now
        self.served += 1
        return start + seconds


class Result(NamedTuple):
    """What a simulation found.

    Attributes:
        hours: until the last trial ended.
        efficiency: trained seconds over those of all workers.
        load: service to the share of its time that it is busy.
        wait_s: service to the mean wait of a request.
    """

    hours: float
    efficiency: float
    load: dict[str, float]
    wait_s: dict[str, float]


def simulate(costs: Costs, places: Places, *, workers: int, trials: int, seed: int = 0) -> Result:
    """Evaluate trials by workers, each one after the other, until there are as many."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    services = {
        DATABASE: Service(places.database),
        TRACKING: Service(places.tracking),
        BOARDS: Service(places.boards),
        ARTIFACTS: Service(places.artifacts),
    }
    trained_s = 0.0
    events = [(rng.uniform(0, costs.train_s), worker) for worker in range(workers)]
    at_work = {worker: _trial(costs, workers, rng) for worker in range(workers)}
    heapq.heapify(events)
    begun, ended_s = min(workers, trials), 0.0
    while events:
        now, worker = heapq.heappop(events)
        step = next(at_work[worker], None)
        if step is None:
            ended_s = now
            if begun < trials:
                begun += 1
                at_work[worker] = _trial(costs, workers, rng)
                heapq.heappush(events, (now, worker))
            continue
        service, seconds = step
        if service in (TRAINING, WORKER):
            trained_s += seconds if service == TRAINING else 0.0
            heapq.heappush(events, (now + seconds, worker))
        else:
            done = services[service].serve(now, seconds)
            # Events for MLflow wait in the outbox on disk, not the worker.
            heapq.heappush(events, (now if service == TRACKING else done, worker))
    return Result(
        hours=ended_s / 3600,
        efficiency=trained_s / (workers * ended_s),
        load={name: one.busy_s / (one.places * ended_s) for name, one in services.items()},
        wait_s={name: one.waited_s / max(one.served, 1) for name, one in services.items()},
    )


def _trial(costs: Costs, running: int, rng: random.Random) -> Iterator[tuple[str, float]]:
    """The steps of a trial: what it is done by, and seconds."""
    yield WORKER, costs.reading_s + costs.reading_running_s * running
    yield DATABASE, costs.claim_s
    sigma = math.log(1 + costs.train_cv**2) ** 0.5
    left_s = costs.train_s * rng.lognormvariate(-(sigma**2) / 2, sigma)
    while left_s > 0:
        span_s = min(left_s, 60.0)
        yield TRAINING, span_s
        yield DATABASE, costs.beat_s * span_s / 10
        left_s -= span_s
    yield BOARDS, costs.board_s
    yield TRACKING, costs.tracking_s
    if rng.random() < costs.share:
        yield ARTIFACTS, costs.artifact_s


def rows_of(costs: Costs, places: Places, workers: Sequence[int], trials: int) -> list[tuple[object, ...]]:
    """A row per number of workers."""
    rows: list[tuple[object, ...]] = []
    for count in workers:
        found = simulate(costs, places, workers=count, trials=min(trials, 20 * count))
        shares = [f"{found.load[name]:.0%}, {found.wait_s[name]:.1f} s" for name in found.load]
        hours = trials / (min(trials, 20 * count) / found.hours)
        rows.append((count, f"{hours:.1f}", f"{found.efficiency:.0%}", *shares))
    return rows


def main() -> int:
    """Print load and waits of each service."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", default="10,100,300,1000,3000")
    parser.add_argument("--trials", type=int, default=100_000)
    for name, value in {**Costs()._asdict(), **Places()._asdict()}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = parser.parse_args()
    given = vars(options)
    costs = Costs(**{name: given[name] for name in Costs._fields})
    places = Places(**{name: given[name] for name in Places._fields})
    workers = [int(part) for part in options.workers.split(",")]
    services = (f"{name}: load, mean wait" for name in (DATABASE, TRACKING, BOARDS, ARTIFACTS))
    head = ("workers", f"hours of {options.trials} trials", "time in training", *services)
    sys.stdout.write(table(head, rows_of(costs, places, workers, options.trials)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
