"""How long a promotion takes: reading, deciding, the first one of many versions, and one with nothing to do.

    python benchmarks/registry_scale.py [--versions 10000] [--first 2000]

The versions are rows of SQLite, written directly: registering them is not what is measured.
"""

import argparse
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

import click
import numpy as np
from common import Goal, end, table
from mlflow import MlflowClient

from mlflow_nas.registry import reconcile
from mlflow_nas.registry.decide import Request, decide
from mlflow_nas.registry.state import read_state

T = TypeVar("T")

MODEL = "person-detector"
GOALS_S = {"decision": 1.0, "nothing to do": 30.0, "first promotion": 60.0}


def main() -> None:
    """Measure, print a table, and end with status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=2_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        many, few = (
            _store(Path(folder) / "many.db", given.versions),
            _store(Path(folder) / "few.db", given.first),
        )
        state, read = _timed(lambda: read_state(many, MODEL))
        _, decision = _timed(lambda: decide(MODEL, state, Request()))
        changes, first = _timed(lambda: reconcile(few, MODEL, trigger="benchmark").changes)
        _write_decided(Path(folder) / "many.db", many)
        again, nothing = _timed(lambda: reconcile(many, MODEL).changes)
    measured = {"decision": decision, "nothing to do": nothing, "first promotion": first}
    counts = dict.fromkeys(measured, given.versions) | {"first promotion": given.first}
    rows = [
        (name, str(counts[name]), f"{cost.wall_s:.2f}", f"{cost.cpu_s:.2f}", f"{GOALS_S[name]:g}")
        for name, cost in measured.items()
    ]
    click.echo(f"reading {given.versions} versions: {read.wall_s:.1f} s")
    click.echo(f"the first promotion wrote {len(changes)} changes, the last {len(again)}")
    goals = [Goal(name, cost.wall_s, GOALS_S[name], at_most=True) for name, cost in measured.items()]
    end(table(("what", "versions", "seconds", "of them processor", "goal, s"), rows), *goals)


class Cost(NamedTuple):
    """Seconds of wall clock, and of processor time."""

    wall_s: float
    cpu_s: float


def _timed(work: Callable[[], T]) -> tuple[T, Cost]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _store(path: Path, count: int) -> MlflowClient:
    """A registry with that many measured versions of one board."""
    client, draw = MlflowClient(f"sqlite:///{path}"), np.random.default_rng(0)
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, "file:///nowhere", tags={"map": "0.5"})
    with closing(sqlite3.connect(path)) as database, database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(model_versions)")]
        first = dict(zip(columns, database.execute("SELECT * FROM model_versions").fetchone(), strict=True))
        database.execute("DELETE FROM model_version_tags")
        for number in range(1, count + 1):
            if number > 1:
                _insert(database, "model_versions", {**first, "version": number})
            accuracy = draw.uniform(0.2, 0.6)
            latency_ms = 2 + 10 * accuracy + draw.uniform(0, 8)
            _tag(database, first, number, _tags(accuracy, latency_ms))
    return client


def _tags(accuracy: float, latency_ms: float) -> dict[str, str]:
    measured = {
        "map": accuracy,
        "latency_ms": latency_ms,
        "speedup": 12 / latency_ms,
        "nas.reference_map": 0.5,
    }
    named = {
        "precision": "int8",
        "board": "pi",
        "dataset": "d@1",
        "role": "finalist",
        "protocol": "0a1b2c3d4e5f",
    }
    return {name: f"{value:.6g}" for name, value in measured.items()} | {
        f"nas.{name}": value for name, value in named.items()
    }


def _tag(
    database: sqlite3.Connection, first: Mapping[str, object], number: int, tags: dict[str, str]
) -> None:
    columns = {row[1] for row in database.execute("PRAGMA table_info(model_version_tags)")}
    for key, value in tags.items():
        row = {**first, "version": number, "key": key, "value": value}
        _insert(database, "model_version_tags", {name: row[name] for name in columns})


def _insert(database: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608 - own


def _write_decided(path: Path, client: MlflowClient) -> None:
    """Write the tags of the first promotion directly, and the rest of it as a promotion does."""
    decision = decide(MODEL, read_state(client, MODEL), Request())
    with closing(sqlite3.connect(path)) as database, database:
        first: dict[str, object] = {"name": MODEL, "workspace": "default"}
        for change in decision.changes:
            if change.kind == "tag" and change.after is not None:
                _tag(database, first, change.version, {change.name: change.after})
    reconcile(client, MODEL, trigger="benchmark")


if __name__ == "__main__":
    main()
