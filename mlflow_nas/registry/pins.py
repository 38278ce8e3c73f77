"""Aliases that stay at a version until they are given back."""

from mlflow import MlflowClient

from mlflow_nas.errors import ConfigError
from mlflow_nas.registry.decide import pin_changes
from mlflow_nas.registry.journal import record_changes
from mlflow_nas.registry.lease import one_writer
from mlflow_nas.registry.plan import ROLES, Change, alias_names
from mlflow_nas.registry.state import State, read_state
from mlflow_nas.registry.write import remember, write_changes
from mlflow_nas.tracking import server_call

__all__ = ["pin", "unpin"]

REMEDY = ("pin the alias", "check that it runs, then rerun the same command")


@server_call(*REMEDY)
def pin(client: MlflowClient, model: str, alias: str, version: int) -> tuple[Change, ...]:
    """Set an alias of mlflow_nas to a version and keep it there, whatever is promoted later.

    Args:
        client: the MLflow client.
        model: the registered model.
        alias: such as champion or champion-pi.
        version: the version's number.

    Returns:
        The changes.

    Raises:
        ConfigError: mlflow_nas does not set such an alias, or there is no such version.
        RegistryError: there is no such model, or MLflow does not answer.
    """
    _check(model, read_state(client, model), alias, version)
    with one_writer(client, model) as lease:
        state = read_state(client, model)
        current = state.aliases.get(alias)
        moved = [Change("alias", alias, version, None if current is None else str(current), str(version))]
        tags = pin_changes(state, {**state.pins, alias: version}, "pinned")
        changes = [change._replace(why="pinned") for change in (moved if current != version else [])]
        changes += tags
        write_changes(client, model, state, changes, renew=lease.renew)
        if current == version and not state.is_ours(alias):
            remember(client, model, {**state.memory, alias: (version,)})
    if changes:
        record_changes(client, model, changes, [], trigger="pin")
    return tuple(changes)


@server_call(*REMEDY)
def unpin(client: MlflowClient, model: str, alias: str) -> tuple[Change, ...]:
    """Give an alias back: the next promotion moves it as it does the others.

    Args:
        client: the MLflow client.
        model: the registered model.
        alias: that is pinned; for another one nothing changes.

    Returns:
        The changes.

    Raises:
        RegistryError: there is no such model, or MLflow does not answer.
    """
    state = read_state(client, model)
    if alias not in state.pins and state.is_ours(alias):
        return ()
    with one_writer(client, model) as lease:
        state = read_state(client, model)
        kept = {name: number for name, number in state.pins.items() if name != alias}
        changes = pin_changes(state, kept, "given back")
        write_changes(client, model, state, changes, renew=lease.renew)
        if alias in state.aliases and not state.is_ours(alias):
            remember(client, model, {**state.memory, alias: (state.aliases[alias],)})
    if changes:
        record_changes(client, model, changes, [], trigger="pin")
    return tuple(changes)


def _check(model: str, state: State, alias: str, version: int) -> None:
    boards = sorted({one.tags["nas.board"] for one in state.versions if one.tags.get("nas.board")})
    if alias not in {name for board in (None, *boards) for name in alias_names(board).values()}:
        raise ConfigError(
            f"{alias!r} is no alias of mlflow_nas, which moves {', '.join(ROLES)}, each also with "
            f"-BOARD ({', '.join(boards) or 'none yet'}): an alias of your own needs no pin."
        )
    numbers = [known.number for known in state.versions]
    if version not in numbers:
        newest = max(numbers, default=0)
        raise ConfigError(f"{model} has no version {version}: it has {len(numbers)}, the newest is {newest}.")
