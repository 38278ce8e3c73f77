"""Update the registry's tags and aliases to the measurements; only differences are written."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlflow import MlflowClient

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry.decide import Decision, Request, decide
from mlflow_nas.registry.journal import record_changes
from mlflow_nas.registry.lease import one_writer
from mlflow_nas.registry.plan import Change
from mlflow_nas.registry.state import State, read_state, runs_deleted
from mlflow_nas.registry.write import write_changes
from mlflow_nas.tracking import server_call
from mlflow_nas.types import Objective

__all__ = ["Reconciliation", "reconcile"]

ATTEMPTS = 5
"""Of reading again until a read confirms; one writer at a time needs two."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The registry's state after the call (of a dry run: its planned state), and the changes.

    Attributes:
        model: the registered model.
        front: a row per member of the fronts that have aliases.
        aliases: those of mlflow_nas, on the boards that were decided about.
        changes: that were written.
        dry_run: nothing was written.
        notes: sentences for the user: no champion, pins, refused versions, deleted runs.
        run_id: of the promotion run that has the changes; None without one.
    """

    model: str
    front: tuple[dict[str, object], ...]
    aliases: dict[str, int]
    changes: tuple[Change, ...]
    dry_run: bool
    notes: tuple[str, ...] = ()
    run_id: str | None = None

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "model": self.model,
            "front": list(self.front),
            "aliases": self.aliases,
            "changes": [change._asdict() for change in self.changes],
            "dry_run": self.dry_run,
            "notes": list(self.notes),
            "run_id": self.run_id,
        }


@server_call("reconcile the model registry", "check that it runs, then rerun the same command")
def reconcile(  # noqa: PLR0913 - the keywords of `promote`
    client: MlflowClient,
    model: str,
    *,
    objectives: Sequence[Objective] | None = None,
    max_drop: float | None = None,
    speedup: float | None = None,
    max_latency_ms: float | None = None,
    board: str | None = None,
    dataset: str | None = None,
    primary: bool = False,
    dry_run: bool = False,
    trigger: str = "python",
    run_id: str | None = None,
    experiment_id: str | None = None,
) -> Reconciliation:
    """Recompute the Pareto fronts over the registered int8 versions and update tags and aliases.

    Idempotent. Each board has the aliases `<role>-<board>`; the plain ones belong to the model's primary
    board and data set. One writer at a time, on any machine; a second read confirms what was written. The
    changes are stored in a run of the role "promotion".

    Args:
        client: the MLflow client.
        model: the registered model.
        objectives: of the fronts; None for those of the last call that named some.
        max_drop: how far the champion's accuracy may be below its reference's, without a speed goal. None for
            the model's goal, as it was last given, unless one of the next two is given.
        speedup: the champion is the most accurate version that is this many times as fast as the reference.
        max_latency_ms: the champion is the most accurate version that is not slower.
        board: change only versions and aliases of this board; None for all.
        dataset: change only versions of this data set (name@digest), and aliases if they belong to it.
        primary: make `board` and `dataset` those of the plain aliases.
        dry_run: compute the changes without writing them.
        trigger: by which the call came, for the record.
        run_id: the run that records the changes, also that there are none; None makes one for changes.
        experiment_id: where that run is made; None for that of MLFLOW_EXPERIMENT_NAME, else mlflow-nas.

    Raises:
        RegistryError: there is no such model, it has no measured int8 version (of that board or data set),
            another process is writing, or MLflow does not answer.
    """
    goal = {"max_drop": max_drop, "speedup": speedup, "max_latency_ms": max_latency_ms}
    request = Request(
        objectives=objectives,
        goal={name: value for name, value in goal.items() if value is not None},
        board=board,
        dataset=dataset,
        primary=primary,
    )
    state = read_state(client, model)
    decision = decide(model, state, request)
    written: tuple[Change, ...] = decision.changes
    if not dry_run and decision.changes:
        state, decision, written = _apply(client, model, request)
    notes = (*decision.notes, *_deleted(client, state, decision))
    if not dry_run and (written or run_id):
        try:
            run_id = record_changes(
                client, model, written, notes, trigger=trigger, run_id=run_id, experiment=experiment_id
            )
        except RegistryError as error:  # such as an experiment of another user: the registry is changed
            notes = (*notes, f"The changes are not recorded in a run: {error}")
    return Reconciliation(
        model,
        _front(state, decision),
        dict(decision.aliases),
        written,
        dry_run,
        notes,
        run_id,
    )


def _apply(client: MlflowClient, model: str, request: Request) -> tuple[State, Decision, tuple[Change, ...]]:
    """Write until a read confirms that nothing is left; the notes are those of the first decision."""
    written: list[Change] = []
    notes: tuple[str, ...] = ()
    with one_writer(client, model) as lease:
        for _ in range(ATTEMPTS):
            lease.renew()
            state = read_state(client, model)
            decision = decide(model, state, request)
            notes = notes or decision.notes
            if not decision.changes:
                break
            write_changes(client, model, state, decision.changes, renew=lease.renew)
            written += decision.changes
    after = Decision(decision.changes, decision.aliases, decision.front, decision.objectives, notes)
    return state, after, tuple(written)


def _front(state: State, decision: Decision) -> tuple[dict[str, object], ...]:
    by_number = {version.number: version for version in state.versions}
    return tuple(
        {
            "version": number,
            "key": by_number[number].tags.get("nas.key"),
            **{objective.name: by_number[number].value(objective) for objective in decision.objectives},
            "aliases": sorted(name for name, holder in decision.aliases.items() if holder == number),
        }
        for number in decision.front
    )


def _deleted(client: MlflowClient, state: State, decision: Decision) -> list[str]:
    """A sentence for each version of a front, or with an alias, whose run was deleted."""
    named = {*decision.front, *decision.aliases.values()}
    versions = [version for version in state.versions if version.number in named]
    return [
        f"The run of version {number} was deleted in MLflow: the version is kept."
        for number in runs_deleted(client, versions)
    ]
