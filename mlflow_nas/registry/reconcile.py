"""Update the registry's tags and aliases to the measurements; only differences are written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow import MlflowClient

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry.lock import one_writer
from mlflow_nas.registry.plan import (
    DEFAULT_OBJECTIVES,
    UNMEASURED,
    Change,
    Plan,
    Version,
    alias_names,
    make_plan,
)
from mlflow_nas.tracking import server_call
from mlflow_nas.types import Objective

__all__ = ["Reconciliation", "reconcile"]

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The registry's state after the call (of a dry run: its planned state), and the changes."""

    model: str
    front: tuple[dict[str, object], ...]
    aliases: dict[str, int]
    changes: tuple[Change, ...]
    dry_run: bool

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "model": self.model,
            "front": list(self.front),
            "aliases": self.aliases,
            "changes": [change._asdict() for change in self.changes],
            "dry_run": self.dry_run,
        }


@server_call("reconcile the model registry", "check that it runs, then rerun the same command")
def reconcile(
    client: MlflowClient,
    model: str,
    *,
    objectives: Sequence[Objective] = DEFAULT_OBJECTIVES,
    max_drop: float = 0.01,
    board: str | None = None,
    dataset: str | None = None,
    dry_run: bool = False,
) -> Reconciliation:
    """Recompute the Pareto front over the registered int8 versions and update tags and aliases.

    Idempotent; only tags and aliases of mlflow_nas are deleted. Aliases end in the board's name when the
    model has versions of more than one board; those without it are then ambiguous and removed. One writer
    at a time on this machine.

    Args:
        client: the MLflow client.
        model: the registered model.
        objectives: of the front.
        max_drop: how far the champion's accuracy may be below its reference's.
        board: change only versions and aliases of this board; None for all.
        dataset: whose front has the aliases (name@digest); None for the newest version's.
        dry_run: compute the changes without writing them.

    Raises:
        RegistryError: there is no such model, it has no measured int8 version (of that board or data set),
            another process is writing, or MLflow does not answer.
    """
    with one_writer(client, model):
        versions = _versions(client, model)
        measured = [version for version in versions if _is_measured(version, objectives)]
        _require(model, measured, objectives, board, dataset)
        plan = make_plan(measured, objectives=objectives, max_drop=max_drop, board=board, dataset=dataset)
        current = {name: int(v) for name, v in client.get_registered_model(model).aliases.items()}
        selected = [version for version in versions if board in (None, version.tags.get("nas.board"))]
        changes = (*_tag_changes(selected, plan), *_alias_changes(current, plan, _own_aliases(selected)))
        if not dry_run:
            for change in changes:
                _write(client, model, change)
    return Reconciliation(model, _front(measured, plan, objectives), dict(plan.aliases), changes, dry_run)


def _versions(client: MlflowClient, model: str) -> list[Version]:
    if not client.search_registered_models(f"name='{model}'", max_results=1):
        known = sorted(found.name for found in client.search_registered_models())
        raise RegistryError(
            f"There is no registered model {model!r}: known are {', '.join(known) or 'none'}; "
            "name one of them, or run a search first."
        )
    found, token = [], None
    while True:
        page = client.search_model_versions(f"name='{model}'", max_results=PAGE, page_token=token)
        found += [Version(int(version.version), dict(version.tags)) for version in page]
        token = page.token
        if not token:
            return sorted(found, key=lambda version: version.number)


def _is_measured(version: Version, objectives: Sequence[Objective]) -> bool:
    tags = version.tags
    named = tags.get("nas.precision") == "int8" and "nas.board" in tags and "nas.dataset" in tags
    try:
        return named and all(math.isfinite(version.value(objective)) for objective in objectives)
    except (KeyError, ValueError):
        return False


def _require(
    model: str,
    measured: list[Version],
    objectives: Sequence[Objective],
    board: str | None,
    dataset: str | None,
) -> None:
    if not measured:
        names = " and ".join(objective.name for objective in objectives)
        raise RegistryError(
            f"The registered model {model!r} has no int8 version with {names}: "
            f"run a search with --model {model} first."
        )
    on_board = [version for version in measured if board in (None, version.board)]
    if not on_board:
        known = ", ".join(sorted({version.board for version in measured}))
        raise RegistryError(
            f"The registered model {model!r} has no int8 version measured on board {board!r}: "
            f"known are {known}; name one of them, or run a search there."
        )
    datasets = sorted({version.dataset for version in on_board})
    if dataset is not None and dataset not in datasets:
        raise RegistryError(
            f"The registered model {model!r} has no int8 version measured on data set {dataset!r}: "
            f"known are {', '.join(datasets)}; name one of them."
        )


def _own_aliases(versions: list[Version]) -> set[str]:
    """Aliases that an earlier call may have set; a user's own, such as `champion-2024`, is not among them."""
    boards = {version.tags.get("nas.board") for version in versions} | {None}
    return {alias for board in boards for alias in alias_names(board).values()}


def _tag_changes(versions: list[Version], plan: Plan) -> list[Change]:
    return [
        Change("tag", name, version.number, version.tags.get(name), value)
        for version in versions
        for name, value in plan.tags.get(version.number, UNMEASURED).items()
        if version.tags.get(name) != value
    ]


def _alias_changes(current: dict[str, int], plan: Plan, own: set[str]) -> list[Change]:
    gone = [
        Change("alias", name, number, str(number), None)
        for name, number in sorted(current.items())
        if name in own and name not in plan.aliases
    ]
    moved = [
        Change("alias", name, number, str(current[name]) if name in current else None, str(number))
        for name, number in plan.aliases.items()
        if current.get(name) != number
    ]
    return [*moved, *gone]


def _write(client: MlflowClient, model: str, change: Change) -> None:
    version = str(change.version)
    match (change.kind, change.after):
        case ("tag", None):
            client.delete_model_version_tag(model, version, change.name)
        case ("tag", value):
            client.set_model_version_tag(model, version, change.name, value)
        case ("alias", None):
            client.delete_registered_model_alias(model, change.name)
        case _:
            client.set_registered_model_alias(model, change.name, version)


def _front(
    versions: list[Version], plan: Plan, objectives: Sequence[Objective]
) -> tuple[dict[str, object], ...]:
    by_number = {version.number: version for version in versions}
    return tuple(
        {
            "version": number,
            "key": by_number[number].tags.get("nas.key"),
            **{objective.name: by_number[number].value(objective) for objective in objectives},
            "aliases": sorted(name for name, holder in plan.aliases.items() if holder == number),
        }
        for number in plan.front
    )
