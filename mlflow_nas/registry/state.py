"""What the registry holds of a model: its versions, aliases, and what mlflow_nas remembers in its tags."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry.checks import objectives_of
from mlflow_nas.registry.holders import Goal, Version
from mlflow_nas.registry.plan import Primary
from mlflow_nas.types import Objective

__all__ = [
    "GOAL",
    "MEMORY",
    "OBJECTIVES",
    "PINNED",
    "PRIMARY_BOARD",
    "PRIMARY_DATASET",
    "State",
    "memory_text",
    "objectives_text",
    "read_state",
    "runs_deleted",
    "store_of",
]

PAGE = 10_000
_DIRECTIONS: Mapping[str, Literal["maximize", "minimize"]] = {"maximize": "maximize", "minimize": "minimize"}
RUNS_PER_CALL = 100

PRIMARY_BOARD = "nas.primary_board"
PRIMARY_DATASET = "nas.primary_dataset"
OBJECTIVES = "nas.objectives"
GOAL = "nas.goal."
"""Prefix of the tags of the registered model that hold the goal of each board's champion."""
MEMORY = "nas.aliases"
"""Its tag that holds the versions to which mlflow_nas has set each alias; elsewhere it was set by hand."""
PINNED = "nas.pinned"
"""Tag of a version: the aliases that stay with it, between blanks."""


@dataclass(frozen=True, slots=True)
class State:
    """A registered model as it was read.

    Attributes:
        versions: by number.
        aliases: alias to version.
        tags: of the registered model.
    """

    versions: tuple[Version, ...]
    aliases: Mapping[str, int]
    tags: Mapping[str, str]

    @property
    def primary(self) -> Primary | None:
        """Board and data set of the aliases without a suffix; None before the first registration."""
        board, dataset = self.tags.get(PRIMARY_BOARD), self.tags.get(PRIMARY_DATASET)
        return Primary(board, dataset) if board and dataset else None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Those of the last search that registered versions; without one those of the newest version."""
        with _own_tag(OBJECTIVES):
            stored = self._stored(OBJECTIVES)
            found = tuple(Objective(name, _DIRECTIONS[direction]) for name, direction in stored.items())
        return found or objectives_of(self.versions[-1].tags if self.versions else {})

    def goal(self, board: str) -> Goal:
        """Of the board's champion."""
        with _own_tag(f"{GOAL}{board}"):
            stored = self._stored(f"{GOAL}{board}")
            return Goal(**{name: float(value) for name, value in stored.items()})

    def _stored(self, name: str) -> dict[str, Any]:
        """What mlflow_nas remembers in a tag."""
        return dict(json.loads(self.tags.get(name, "{}")).items())

    @property
    def pins(self) -> dict[str, int]:
        """Alias to the version that it is pinned to."""
        return {
            alias: version.number
            for version in self.versions
            for alias in version.tags.get(PINNED, "").split()
        }

    def is_ours(self, alias: str) -> bool:
        """Whether mlflow_nas, not a user, has set an alias to where it is."""
        return alias not in self.aliases or self.aliases[alias] in self.memory.get(alias, ())

    @property
    def memory(self) -> dict[str, tuple[int, ...]]:
        """Alias to the version that mlflow_nas has set it to; two while it is moving."""
        with _own_tag(MEMORY):
            return {alias: tuple(map(int, numbers)) for alias, numbers in self._stored(MEMORY).items()}


@contextmanager
def _own_tag(name: str) -> Iterator[None]:
    """Refuse a tag of mlflow_nas that another program has changed.

    Raises:
        RegistryError: the tag can't be read.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RegistryError(
            f"The tag {name} of the registered model is not as mlflow_nas writes it: delete it, and rerun "
            "the same command."
        ) from error


def store_of(client: MlflowClient) -> Any:
    """The client's own client of the registry.

    MlflowClient reads the whole registered model before each write of a version, in order to refuse prompts.
    """
    return client._get_registry_client()  # type: ignore[no-untyped-call]  # MLflow's


def memory_text(memory: Mapping[str, tuple[int, ...]]) -> str:
    """JSON, for the tag of the registered model."""
    return json.dumps({alias: numbers for alias, numbers in sorted(memory.items()) if numbers})


def objectives_text(objectives: Sequence[Objective]) -> str:
    """JSON, for a tag of the registered model."""
    return json.dumps({objective.name: objective.direction for objective in objectives})


def read_state(client: MlflowClient, model: str) -> State:
    """Read a model and all of its versions.

    Raises:
        RegistryError: there is no such model.
        MlflowException: MLflow does not answer.
    """
    try:
        found = client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = sorted(one.name for one in client.search_registered_models())
        raise RegistryError(
            f"There is no registered model {model!r}: known are {', '.join(known) or 'none'}; "
            "name one of them, or run a search first."
        ) from error
    aliases = {name: int(version) for name, version in found.aliases.items()}
    return State(_versions(client, model), aliases, dict(found.tags))


def _versions(client: MlflowClient, model: str) -> tuple[Version, ...]:
    found: list[Version] = []
    token = None
    while True:
        page = client.search_model_versions(f"name='{model}'", max_results=PAGE, page_token=token)
        found += [Version(int(one.version), dict(one.tags), one.run_id or None) for one in page]
        token = page.token
        if not token:
            return tuple(sorted(found, key=lambda version: version.number))


def runs_deleted(client: MlflowClient, versions: Sequence[Version]) -> list[int]:
    """The versions, of those given, whose run was deleted in MLflow."""
    run_ids = sorted({version.run_id for version in versions if version.run_id})
    if not run_ids:
        return []
    experiments = [one.experiment_id for one in client.search_experiments(ViewType.ALL)]
    gone: set[str] = set()
    for start in range(0, len(run_ids), RUNS_PER_CALL):
        part = run_ids[start : start + RUNS_PER_CALL]
        quoted = ", ".join(f"'{run_id}'" for run_id in part)
        runs = client.search_runs(experiments, f"attributes.run_id IN ({quoted})", run_view_type=ViewType.ALL)
        active = {run.info.run_id for run in runs if run.info.lifecycle_stage == "active"}
        gone |= set(part) - active
    return [version.number for version in versions if version.run_id in gone]
