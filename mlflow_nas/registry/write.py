"""The writes of a reconciliation."""

from collections.abc import Callable, Mapping, Sequence

from mlflow import MlflowClient

from mlflow_nas.registry.plan import Change
from mlflow_nas.registry.state import MEMORY, State, memory_text, store_of

__all__ = ["remember", "write_changes"]


def write_changes(
    client: MlflowClient,
    model: str,
    state: State,
    changes: Sequence[Change],
    *,
    renew: Callable[[], None],
) -> None:
    """Write all changes in their order, aliases last.

    Args:
        client: the MLflow client.
        model: the registered model.
        state: before the changes.
        changes: of the decision.
        renew: called between writes.

    Raises:
        MlflowException: MLflow does not answer.
    """
    registry = store_of(client)
    for change in changes:
        renew()
        if change.kind == "setting":
            registry.set_registered_model_tag(model, change.name, change.after)
        elif change.kind == "tag" and change.after is None:
            registry.delete_model_version_tag(model, str(change.version), change.name)
        elif change.kind == "tag":
            registry.set_model_version_tag(model, str(change.version), change.name, change.after)
    moves = [change for change in changes if change.kind == "alias"]
    if moves:
        _move(client, model, state, moves)


def _move(client: MlflowClient, model: str, state: State, moves: Sequence[Change]) -> None:
    """Set aliases; where they go is remembered before and after: an interruption is no move by hand."""
    registry = store_of(client)
    planned = {
        move.name: tuple(int(one) for one in (move.before, move.after) if one is not None) for move in moves
    }
    remember(client, model, {**state.memory, **planned})
    for move in moves:
        if move.after is None:
            registry.delete_registered_model_alias(model, move.name)
        else:
            registry.set_registered_model_alias(model, move.name, move.after)
    done = {move.name: () if move.after is None else (int(move.after),) for move in moves}
    if done != planned:
        remember(client, model, {**state.memory, **done})


def remember(client: MlflowClient, model: str, memory: Mapping[str, tuple[int, ...]]) -> None:
    """Store which versions mlflow_nas has set each alias to; an alias elsewhere was moved by hand.

    Raises:
        MlflowException: MLflow does not answer.
    """
    store_of(client).set_registered_model_tag(model, MEMORY, memory_text(memory))
