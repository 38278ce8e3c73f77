"""What one trial takes of the services that all workers share: the parameters of scale_simulation.py.

CPU time of a local PostgreSQL for claiming, storing and heartbeats, by the number of trials that run, and of
an MLflow server in front of it for a trial's run with its curve. CPU time, so that other work of the machine
does not count.

    python benchmarks/scale_costs.py --postgres "postgres.*-p 5432"
        --database postgresql+psycopg2://USER:PASSWORD@localhost/ONE
        --tracking postgresql+psycopg2://USER:PASSWORD@localhost/OTHER
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from urllib.error import URLError

import optuna
from common import scratch_folder, table
from optuna.trial import TrialState, create_trial

from mlflow_nas.search import Claim, StudyStore
from mlflow_nas.search.claims import Claims
from mlflow_nas.search.samplers import Proposer, Sampling, distributions, make_sampler
from mlflow_nas.search.storage import open_storage
from mlflow_nas.search.store import ARCHITECTURE, BEAT, KEY, ORIGIN, OWNER, RESULT, open_study
from mlflow_nas.space import SearchSpace, load_space
from mlflow_nas.tracking import Mirror, StudyRun, TrialRun
from mlflow_nas.types import Architecture, Objective, TrialResult

OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))
EPOCHS, VALUES, TRIALS = 14, 30, 20
START_S = 300.0


def cpu_s(pattern: str) -> float:
    """CPU seconds of the local processes whose command line matches, of their children, and of ended ones."""
    ticks, parents, matching = dict[int, int](), dict[int, int](), set[int]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            fields = (
                (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            )
            pid = int(folder.name)
            ticks[pid], parents[pid] = sum(map(int, fields[11:15])), int(fields[1])
            if pid != os.getpid() and re.search(pattern, command):
                matching.add(pid)
    for _ in range(3):  # generations
        matching |= {pid for pid, parent in parents.items() if parent in matching}
    return sum(ticks[pid] for pid in matching) / os.sysconf("SC_CLK_TCK")


def result_of(number: int, key: str, architecture: Architecture) -> TrialResult:
    """As large as a real one: metrics, and a curve."""
    metrics = {"map": 0.5, "latency_ms": 2.0} | {f"metric_{index}": 0.1 * index for index in range(VALUES)}
    curve = tuple({"train_loss": 1.0, "map_fp32": 0.5, "map_50_fp32": 0.8} for _ in range(EPOCHS))
    return TrialResult(
        key=key, architecture=architecture, state="complete", number=number, metrics=metrics, history=curve
    )


class Database:
    """A study in the database, with trials that ended and trials that run."""

    def __init__(self, url: str, space: SearchSpace) -> None:
        self.space = space
        study = open_study(
            f"costs-{time.time_ns()}", storage=open_storage(url, Path()), objectives=OBJECTIVES
        )
        self.store = StudyStore(study=study)
        proposer = Proposer(make_sampler("tpe", Sampling(space, 1000, 0)), space, seed=0)
        self.claims = Claims(store=self.store, space=space, proposer=proposer)
        self._rng = Random(0)  # noqa: S311 - architectures, no secret

    def add(self, count: int, state: TrialState) -> None:
        """Add trials as other workers would have."""
        for _ in range(count):
            architecture = dict(self.space.draw(self._rng))
            key = self.space.key(architecture)
            attrs = {OWNER: {"name": "other", "place": "elsewhere", "pid": 1, "started": 1}, BEAT: 0}
            attrs |= {KEY: key, ARCHITECTURE: architecture, ORIGIN: {}}
            if state is TrialState.COMPLETE:
                attrs[RESULT] = json.dumps(result_of(0, key, architecture).as_json())
            values = [0.5, 2.0] if state is TrialState.COMPLETE else None
            self.store.study.add_trial(
                create_trial(
                    state=state,
                    values=values,
                    params=architecture,
                    distributions=distributions(self.space),
                    user_attrs=attrs,
                )
            )

    def evaluate(self, limit: int) -> None:
        """Claim a trial and store its result."""
        claim = self.claims.next(limit=limit)
        if claim is not None:
            self.store.finish(claim, result_of(claim.number, claim.key, dict(claim.architecture)))

    def beat(self, claim: Claim) -> None:
        """Renew a heartbeat."""
        self.store.is_mine(claim)
        self.store.set_attr(claim.number, BEAT, time.time_ns())


def spent(work: Callable[[], None], repeat: int, postgres: str) -> tuple[float, float]:
    """Milliseconds of CPU, of this process and of PostgreSQL, of one call."""
    before = time.process_time(), cpu_s(postgres)
    for _ in range(repeat):
        work()
    after = time.process_time(), cpu_s(postgres)
    return 1000 * (after[0] - before[0]) / repeat, 1000 * (after[1] - before[1]) / repeat


def storage_rows(
    url: str, postgres: str, *, finished: int, running: tuple[int, ...]
) -> list[tuple[object, ...]]:
    """Costs by the number of running trials."""
    database, rows, there = Database(url, load_space("chain")), list[tuple[object, ...]](), 0
    database.add(finished, TrialState.COMPLETE)
    for count in running:
        database.add(count - there, TrialState.RUNNING)
        there = count
        mine, its = spent(lambda: database.evaluate(10**6), TRIALS, postgres)
        rows.append(("claim and store a trial", finished, count, round(mine, 1), round(its, 1)))
    claim = database.claims.next(limit=10**6)
    if claim is not None:
        mine, its = spent(lambda: database.beat(claim), 10 * TRIALS, postgres)
        rows.append(("a heartbeat", finished, there, round(mine, 2), round(its, 2)))
    return rows


@contextmanager
def mlflow_server(url: str) -> Iterator[tuple[str, str]]:
    """A server with one worker on the database: its address, and a pattern of its command line."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = f"{scratch_folder()}/artifacts"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", url, "--workers", "1"]
    command += ["--port", str(port), "--artifacts-destination", store]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_S
    try:
        while time.monotonic() < deadline and server.poll() is None:
            with suppress(URLError, OSError):
                urllib.request.urlopen(f"{address}/health", timeout=5).close()  # noqa: S310 - this machine's
                break
            time.sleep(1)
        yield address, f"server .*--port {port}"
    finally:
        server.terminate()
        server.wait()


def tracking_row(url: str, postgres: str) -> tuple[object, ...]:
    """Costs of the runs of trials, with a point of the curve an event."""
    with mlflow_server(url) as (address, server_pattern):
        study = StudyRun(experiment="costs", study="costs", uid=f"{time.time_ns()}", params={})
        mirror = Mirror(
            tracking_uri=address,
            folder=scratch_folder() / "outbox",
            study=study,
            objectives=[one.name for one in OBJECTIVES],
        )
        mirror.start_study()
        mirror.flush(60)
        before = cpu_s(server_pattern), cpu_s(postgres), time.process_time()
        for number in range(TRIALS):
            result = result_of(number, f"key-{number}", load_space("chain").baseline)
            run = TrialRun(
                uid=str(number),
                name=result.key,
                role="trial",
                number=number,
                key=result.key,
                architecture=result.architecture,
                tags={},
            )
            mirror.start_trial(run, is_new=True)
            for epoch, metrics in enumerate(result.history, start=1):
                mirror.log_epoch(run, epoch, metrics)
                mirror.flush(60)  # an epoch takes longer than a request
            mirror.finish_trial(run, result)
            mirror.flush(60)
        after = cpu_s(server_pattern), cpu_s(postgres), time.process_time()
        mirror.close()
    server, database, mine = (
        1000 * (late - early) / TRIALS for early, late in zip(before, after, strict=True)
    )
    return ("a trial's run, MLflow server", "", "", round(mine, 1), f"{server:.0f} and {database:.0f}")


def main() -> int:
    """Print the costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--database", required=True, help="URL of an empty database on this machine")
    parser.add_argument("--tracking", required=True, help="URL of another one, for MLflow")
    parser.add_argument("--postgres", required=True, help="pattern of its server's command line")
    parser.add_argument("--finished", type=int, default=300)
    parser.add_argument("--running", default="1,50,200")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    running = tuple(int(part) for part in options.running.split(","))
    rows = storage_rows(options.database, options.postgres, finished=options.finished, running=running)
    head = ("", "ended trials", "running trials", "worker, CPU ms", "service, CPU ms")
    sys.stdout.write(table(head, rows))
    sys.stdout.flush()
    sys.stdout.write(table(head, [tracking_row(options.tracking, options.postgres)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
