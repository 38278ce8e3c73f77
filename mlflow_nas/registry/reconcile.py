"""Bring the registry's tags and aliases to what the measurements say; only differences are written."""

import hashlib
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry.plan import Change, Plan, Version, make_plan
from mlflow_nas.tracking import server_call

__all__ = ["Reconciliation", "reconcile"]

PAGE = 1_000
OWN_ALIASES = ("champion", "fastest", "most-accurate", "knee")
LOCK_S = 60


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The registry's state after the call, or the one it would have after it, and what had to change."""

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


@server_call("reconcile the model registry")
def reconcile(
    client: MlflowClient,
    model: str,
    *,
    max_map_drop: float = 0.01,
    board: str | None = None,
    dataset: str | None = None,
    dry_run: bool = False,
) -> Reconciliation:
    """Recompute the Pareto front over the registered int8 versions and make tags and aliases say so.

    Idempotent; nothing is deleted but our own tags and aliases. One writer at a time on this machine.

    Args:
        client: the MLflow client.
        model: the registered model.
        max_map_drop: how far the champion's map may be below its baseline's.
        board: only versions measured on this board; None for all.
        dataset: whose front holds the aliases (name@digest); None for the newest version's.
        dry_run: compute the changes, write none.

    Raises:
        RegistryError: there is no such model, it has no measured int8 version, or MLflow does not answer.
    """
    with FileLock(_lock_file(client, model), timeout=LOCK_S):
        versions = [v for v in _measured(client, model) if board in (None, v.board)]
        if not versions:
            raise RegistryError(
                f"The registered model {model!r} has no int8 version with map and latency_ms"
                f"{f' on board {board}' if board else ''}: run a search with --model {model} first."
            )
        plan = make_plan(versions, max_map_drop=max_map_drop, dataset=dataset)
        held = dict(client.get_registered_model(model).aliases)
        changes = (*_tag_changes(versions, plan), *_alias_changes(held, plan))
        if not dry_run:
            for change in changes:
                _write(client, model, change)
    return Reconciliation(model, _front(versions, plan), dict(plan.aliases), changes, dry_run)


def _lock_file(client: MlflowClient, model: str) -> str:
    digest = hashlib.sha256(f"{client._registry_uri} {model}".encode()).hexdigest()[:16]
    return str(Path(tempfile.gettempdir()) / f"mlflow-nas-{digest}.lock")


def _measured(client: MlflowClient, model: str) -> list[Version]:
    if not client.search_registered_models(f"name='{model}'", max_results=1):
        known = sorted(found.name for found in client.search_registered_models())
        raise RegistryError(
            f"There is no registered model {model!r}: known are {', '.join(known) or 'none'}."
        )
    found, token = [], None
    while True:
        page = client.search_model_versions(f"name='{model}'", max_results=PAGE, page_token=token)
        found += [Version(int(version.version), dict(version.tags)) for version in page]
        token = page.token
        if not token:
            return [version for version in found if _is_measured(version)]


def _is_measured(version: Version) -> bool:
    tags = version.tags
    named = tags.get("nas.precision") == "int8" and "nas.board" in tags and "nas.dataset" in tags
    try:
        return named and all(math.isfinite(value) for value in version.objectives)
    except (KeyError, ValueError):
        return False


def _tag_changes(versions: list[Version], plan: Plan) -> list[Change]:
    return [
        Change("tag", name, version.number, version.tags.get(name), value)
        for version in versions
        for name, value in plan.tags[version.number].items()
        if version.tags.get(name) != value
    ]


def _alias_changes(held: dict[str, str], plan: Plan) -> list[Change]:
    ours = {name: int(number) for name, number in held.items() if name.startswith(OWN_ALIASES)}
    gone = [
        Change("alias", name, ours[name], name, None) for name in sorted(ours.keys() - plan.aliases.keys())
    ]
    moved = [
        Change("alias", name, number, str(ours[name]) if name in ours else None, str(number))
        for name, number in plan.aliases.items()
        if ours.get(name) != number
    ]
    return gone + moved


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


def _front(versions: list[Version], plan: Plan) -> tuple[dict[str, object], ...]:
    by_number = {version.number: version for version in versions}
    return tuple(
        {
            "version": number,
            "key": by_number[number].tags.get("nas.key"),
            "map": by_number[number].objectives[0],
            "latency_ms": by_number[number].objectives[1],
            "aliases": sorted(name for name, holder in plan.aliases.items() if holder == number),
        }
        for number in plan.front
    )
