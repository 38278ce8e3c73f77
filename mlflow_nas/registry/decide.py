"""From a registered model as it was read to the changes that it needs: values in, values out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry.checks import invalid_figure, is_measured
from mlflow_nas.registry.holders import Goal, Version, format_figures
from mlflow_nas.registry.plan import (
    UNCOMPARED,
    Change,
    Plan,
    Primary,
    alias_names,
    compared,
    first_primary,
    make_plan,
)
from mlflow_nas.registry.state import (
    GOAL,
    OBJECTIVES,
    PINNED,
    PRIMARY_BOARD,
    PRIMARY_DATASET,
    State,
    objectives_text,
)
from mlflow_nas.types import Objective

__all__ = ["Decision", "Request", "decide"]

NOTES_OF_A_KIND = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a caller asks for.

    Attributes:
        objectives: of the fronts; None for those that the model has.
        goal: settings of `Goal` that are given; the others stay as the model has them.
        board: the only board to decide about; None for all.
        dataset: the only data set to decide about; None for all.
        primary: `board` and `dataset` become those of the aliases without a suffix.
    """

    objectives: Sequence[Objective] | None = None
    goal: Mapping[str, float] | None = None
    board: str | None = None
    dataset: str | None = None
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The wanted state of a model.

    Attributes:
        changes: that lead to it, in the order in which they are written.
        aliases: ours, after the changes.
        front: version numbers of the fronts that have aliases.
        objectives: of the fronts.
        notes: sentences for the user.
    """

    changes: tuple[Change, ...]
    aliases: Mapping[str, int]
    front: tuple[int, ...]
    objectives: tuple[Objective, ...]
    notes: tuple[str, ...]


def decide(model: str, state: State, request: Request) -> Decision:
    """The changes of a model's settings, tags and aliases.

    Args:
        model: its name, for messages.
        state: as it was read.
        request: of the caller.

    Raises:
        RegistryError: it has no measured version (of that board or data set).
    """
    objectives = tuple(request.objectives or state.objectives)
    _require(model, [one for one in state.versions if is_measured(one.tags, objectives)], objectives, request)
    usable = compared(state.versions, objectives)
    primary = _primary(state, usable, request)
    boards = sorted({version.board for version in usable if request.board in (None, version.board)})
    goals = {board: _goal(state.goal(board), request.goal) for board in boards}
    plan = _merged(
        make_plan(
            state.versions,
            objectives=objectives,
            max_drop=goals[board].max_drop,
            speedup=goals[board].speedup,
            max_latency_ms=goals[board].max_latency_ms,
            board=board,
            dataset=request.dataset,
            primary=primary,
        )
        for board in boards
    )
    settings = {OBJECTIVES: objectives_text(objectives)} | {
        f"{GOAL}{board}": goal.as_text() for board, goal in goals.items() if request.goal
    }
    if primary is not None:
        settings |= {PRIMARY_BOARD: primary.board, PRIMARY_DATASET: primary.dataset}
    selected = [version for version in state.versions if _is_selected(version, request)]
    own = _own_aliases(boards, primary)
    pins, pin_changes, pin_notes = _pins(state, own)
    moves, alias_notes = _alias_changes(state, plan, own, pins)
    notes = [*plan.notes, *_refused(selected, objectives), *pin_notes, *alias_notes]
    changes = (*_settings(state, settings), *pin_changes, *_tag_changes(selected, plan), *moves)
    return Decision(changes, _after(state, moves, own), plan.front, objectives, tuple(notes))


def _require(
    model: str, measured: Sequence[Version], objectives: Sequence[Objective], request: Request
) -> None:
    if not measured:
        names = " and ".join(objective.name for objective in objectives)
        raise RegistryError(
            f"The registered model {model!r} has no int8 version with {names}: "
            f"run a search with --model {model} first."
        )
    on_board = [version for version in measured if request.board in (None, version.board)]
    if not on_board:
        known = ", ".join(sorted({version.board for version in measured}))
        raise RegistryError(
            f"The registered model {model!r} has no int8 version measured on board {request.board!r}: "
            f"known are {known}; name one of them, or run a search there."
        )
    datasets = sorted({version.dataset for version in on_board})
    if request.dataset is not None and request.dataset not in datasets:
        raise RegistryError(
            f"The registered model {model!r} has no int8 version measured on data set {request.dataset!r}: "
            f"known are {', '.join(datasets)}; name one of them."
        )


def _primary(state: State, usable: Sequence[Version], request: Request) -> Primary | None:
    known = state.primary or first_primary(usable)
    if known is None or not request.primary:
        return known
    board = request.board or known.board
    on_board = [version for version in usable if version.board == board]
    of_board = {version.dataset for version in on_board}
    newest = max(on_board, key=lambda version: version.number).dataset if on_board else known.dataset
    kept = known.dataset if known.dataset in of_board else newest
    return Primary(board, request.dataset or kept)


def _goal(stored: Goal, given: Mapping[str, float] | None) -> Goal:
    """The given goal; without a speed goal in it the stored one is dropped with it."""
    return Goal(**given) if given else stored


def _merged(plans: Iterable[Plan]) -> Plan:
    """The plans of several boards as one."""
    tags: dict[int, Mapping[str, str | None]] = {}
    aliases: dict[str, int] = {}
    unfit: dict[int, str] = {}
    front: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    for plan in plans:
        tags |= plan.tags
        aliases |= plan.aliases
        unfit |= plan.unfit
        front, notes = front + plan.front, notes + plan.notes
    return Plan(tags, aliases, front, unfit, notes)


def _is_selected(version: Version, request: Request) -> bool:
    return request.board in (None, version.tags.get("nas.board")) and request.dataset in (
        None,
        version.tags.get("nas.dataset"),
    )


def _own_aliases(boards: Sequence[str], primary: Primary | None) -> set[str]:
    """Aliases that this call may set; a user's own, such as `champion-2024`, is not among them."""
    owners: set[str | None] = {*boards, *([None] if primary and primary.board in boards else [])}
    return {alias for board in owners for alias in alias_names(board).values()}


def _settings(state: State, wanted: Mapping[str, str]) -> list[Change]:
    return [
        Change("setting", name, 0, state.tags.get(name), value, "setting of the registered model")
        for name, value in wanted.items()
        if state.tags.get(name) != value
    ]


def _pins(state: State, own: set[str]) -> tuple[dict[str, int], list[Change], list[str]]:
    """Alias to the version where it stays; the tags of pins that are new; a sentence for each new one.

    An alias that stands where mlflow_nas has not set it was moved by hand: it stays there.
    """
    known = state.pins
    moved = {alias: state.aliases[alias] for alias in sorted(own) if not state.is_ours(alias)}
    pins = {**known, **moved}
    notes = [
        f"{alias} was set to version {number} by hand: it stays there. "
        f"`mlflow_nas pin {alias} --remove` gives it back."
        for alias, number in moved.items()
        if known.get(alias) != number
    ]
    return pins, pin_changes(state, pins, "the alias was moved by hand"), notes


def pin_changes(state: State, pins: Mapping[str, int], why: str) -> list[Change]:
    """The changes of the tags `nas.pinned` that lead to these pins."""
    wanted: dict[int, list[str]] = {}
    for alias, number in sorted(pins.items()):
        wanted.setdefault(number, []).append(alias)
    changes = []
    for version in state.versions:
        before, after = version.tags.get(PINNED), " ".join(wanted.get(version.number, [])) or None
        if before != after:
            changes.append(Change("tag", PINNED, version.number, before, after, why))
    return changes


def _tag_changes(versions: Sequence[Version], plan: Plan) -> list[Change]:
    return [
        Change("tag", name, version.number, version.tags.get(name), value, "front of its board and data set")
        for version in versions
        for name, value in plan.tags.get(version.number, UNCOMPARED).items()
        if version.tags.get(name) != value
    ]


def _alias_changes(
    state: State, plan: Plan, own: set[str], pins: Mapping[str, int]
) -> tuple[list[Change], list[str]]:
    """The moves of aliases, and a sentence for each that stays although the plan names another version."""
    changes, notes = [], []
    by_number = {version.number: version for version in state.versions}
    for alias in sorted(own):
        current, planned = state.aliases.get(alias), plan.aliases.get(alias)
        wanted = pins.get(alias, planned)
        if alias in pins and planned not in (None, wanted):
            notes.append(
                f"{alias} is pinned to version {wanted}; without the pin it would be version {planned}."
            )
        before = None if current is None else str(current)
        if wanted is not None and wanted != current:
            why = "pinned" if alias in pins else _because(by_number[wanted], state)
            changes.append(Change("alias", alias, wanted, before, str(wanted), why))
        elif wanted is None and current is not None and current in plan.unfit:
            changes.append(Change("alias", alias, current, before, None, plan.unfit[current]))
        elif wanted is None and current is not None:
            notes.append(f"{alias} stays at version {current}.")
    return changes, notes


def _because(version: Version, state: State) -> str:
    return format_figures(version, state.objectives)


def _after(state: State, moves: Sequence[Change], own: set[str]) -> dict[str, int]:
    aliases = {alias: number for alias, number in state.aliases.items() if alias in own}
    for change in moves:
        if change.after is None:
            aliases.pop(change.name)
        else:
            aliases[change.name] = change.version
    return dict(sorted(aliases.items()))


def _refused(versions: Sequence[Version], objectives: Sequence[Objective]) -> list[str]:
    """A sentence for each version whose figures are no measurement, and a count where there are many."""
    found = [
        f"Version {version.number} is not compared: {why}."
        for version in versions
        if is_measured(version.tags, objectives) and (why := invalid_figure(version.tags, objectives))
    ]
    more = len(found) - NOTES_OF_A_KIND
    return [*found[:NOTES_OF_A_KIND], *([f"{more} further versions are not compared."] if more > 0 else [])]
