"""From a model as it was read to the changes that it needs: values in, values out."""

from dataclasses import replace

import pytest

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry import Change, Version
from mlflow_nas.registry.decide import Decision, Request, decide
from mlflow_nas.registry.state import MEMORY, State, memory_text

MODEL = "person-detector"


def _version(number: int, accuracy: float, latency_ms: float, /, **tags: str | None) -> Version:
    """A measured version; a tag of None is left out."""
    known: dict[str, str | None] = {
        "map": repr(accuracy),
        "latency_ms": repr(latency_ms),
        "nas.precision": "int8",
        "nas.board": "pi",
        "nas.dataset": "d@1",
        "nas.reference_map": "0.5",
    }
    known |= {name.replace("__", "."): value for name, value in tags.items()}
    return Version(number, {name: value for name, value in known.items() if value is not None})


def _state(*versions: Version) -> State:
    return State(versions, {}, {})


def _with(state: State, *versions: Version) -> State:
    return replace(state, versions=(*state.versions, *versions))


def _written(state: State, changes: tuple[Change, ...]) -> State:
    """The state after the changes."""
    tags, aliases = dict(state.tags), dict(state.aliases)
    versions = {version.number: dict(version.tags) for version in state.versions}
    memory = dict(state.memory)
    for change in changes:
        target = {"setting": tags, "tag": versions.get(change.version, {}), "alias": aliases}[change.kind]
        if change.after is None:
            target.pop(change.name)
        else:
            target[change.name] = change.version if change.kind == "alias" else change.after  # type: ignore[assignment]
        if change.kind == "alias":
            memory[change.name] = (change.version,)
    tags[MEMORY] = memory_text(memory)
    return State(tuple(Version(number, found) for number, found in versions.items()), aliases, tags)


def _promote(state: State, request: Request | None = None) -> tuple[State, Decision]:
    """The state and the decision of a promotion; another one changes nothing."""
    decision = decide(MODEL, state, request or Request())
    after = _written(state, decision.changes)
    assert decide(MODEL, after, replace(request or Request(), primary=False)).changes == ()
    return after, decision


def test_a_second_board_gets_aliases_of_its_own_and_the_plain_ones_stay() -> None:
    """They belong to the board of the first version; the second board's first version deleted them once."""
    state, _ = _promote(_state(_version(1, 0.5, 10)))
    state, alone = _promote(
        _with(state, _version(2, 0.495, 50, nas__board="i.MX 93")), Request(board="i.MX 93")
    )
    assert {change.version for change in alone.changes if change.kind == "tag"} == {2}
    assert state.aliases["champion-i-MX-93"] == 2
    assert state.aliases["champion"] == state.aliases["champion-pi"] == 1


def test_the_primary_board_and_data_set_move_by_request_only() -> None:
    """Both are tags of the registered model; a board keeps the data set where it has it."""
    smoke = _version(3, 0.9, 1, nas__dataset="synthetic@2")
    state, _ = _promote(_state(_version(1, 0.5, 10), _version(2, 0.495, 50, nas__board="imx"), smoke))
    assert state.aliases["champion"] == 1
    state, _ = _promote(state, Request(board="imx", primary=True))
    assert (state.aliases["champion"], state.tags["nas.primary_dataset"]) == (2, "d@1")
    state, _ = _promote(state, Request(board="pi", dataset="synthetic@2", primary=True))
    assert (state.aliases["champion"], state.tags["nas.primary_board"]) == (3, "pi")


def test_an_alias_that_was_moved_by_hand_is_kept_pinned_and_reported() -> None:
    """The first time with a sentence on how to give it back; others move."""
    state, _ = _promote(_state(_version(1, 0.5, 10), _version(2, 0.5, 5)))
    by_hand = replace(state, aliases={**state.aliases, "champion": 1})
    state, noticed = _promote(by_hand)
    assert noticed.notes[0] == (
        "champion was set to version 1 by hand: it stays there. `mlflow_nas pin champion --remove` gives it "
        "back."
    )
    assert (state.aliases["champion"], state.aliases["champion-pi"], state.pins) == (1, 2, {"champion": 1})
    _, later = _promote(_with(state, _version(3, 0.6, 4)))
    assert later.notes == ("champion is pinned to version 1; without the pin it would be version 3.",)


def test_a_pin_moves_with_the_hand() -> None:
    """The last hand wins; a deleted alias is set again, to its pin where it has one."""
    state, _ = _promote(_state(_version(1, 0.5, 10), _version(2, 0.5, 5), _version(3, 0.45, 4)))
    state, _ = _promote(replace(state, aliases={**state.aliases, "champion": 1}))
    state, _ = _promote(replace(state, aliases={**state.aliases, "champion": 3}))
    assert state.pins == {"champion": 3}
    state, _ = _promote(replace(state, aliases={}))
    assert (state.aliases["champion"], state.aliases["champion-pi"]) == (3, 2)


def test_an_alias_between_two_versions_is_no_move_by_hand() -> None:
    """An interrupted promotion has left it at either end."""
    state, _ = _promote(_state(_version(1, 0.5, 10)))
    moving = {**state.memory, "champion": (1, 2)}
    state = replace(_with(state, _version(2, 0.5, 5)), tags={**state.tags, MEMORY: memory_text(moving)})
    state, _ = _promote(state)
    assert (state.aliases["champion"], state.pins) == (2, {})


def test_without_a_champion_the_alias_stays_and_the_nearest_is_named() -> None:
    """No alias moves to a version that does not meet the goal."""
    state, _ = _promote(_state(_version(1, 0.5, 10, speedup="1.2")))
    state = _with(state, _version(2, 0.45, 5, speedup="2"))
    state, decision = _promote(state, Request(goal={"speedup": 3}))
    assert decision.notes[0].startswith(
        "pi: No version reaches speedup >= 3: the nearest is version 2 (map 0.45,"
    )
    assert decision.notes[-2:] == ("champion stays at version 1.", "champion-pi stays at version 1.")
    assert (state.aliases["champion"], state.aliases["fastest"]) == (1, 2)


def test_an_alias_leaves_a_version_that_may_hold_none() -> None:
    """Though nothing takes its place."""
    state, _ = _promote(_state(_version(1, 0.5, 10)))
    known = {**state.versions[0].tags, "nas.role": "reference"}
    state, _ = _promote(replace(state, versions=(Version(1, known), _version(2, 0.1, 20))))
    assert state.aliases == {}


def test_the_goal_stays_with_the_board() -> None:
    """A later call without a goal, such as the watcher's, decides by the last one given."""
    versions = (_version(1, 0.3, 5, speedup="2"), _version(2, 0.5, 10, speedup="1.2"))
    state, _ = _promote(_state(*versions), Request(goal={"speedup": 2}))
    assert state.aliases["champion"] == 1
    state, _ = _promote(state, Request(goal={"max_drop": 0.01}))
    assert state.aliases["champion"] == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("speedup", "fast"), ("speedup", "nan"), ("nas.reference_map", "inf"), ("nas.reference_map", "")],
)
def test_a_figure_that_is_no_number_is_named(name: str, value: str) -> None:
    """The version takes part in no front; the others do."""
    odd = _version(2, 0.6, 5, **{name.replace(".", "__"): value})
    state, decision = _promote(_state(_version(1, 0.5, 10), odd))
    assert decision.notes == (f"Version 2 is not compared: {name} is {value!r}, no finite number.",)
    assert set(state.aliases.values()) == {1}


@pytest.mark.parametrize("name", ["nas.board", "nas.dataset"])
def test_a_version_of_an_empty_board_or_data_set_is_no_candidate(name: str) -> None:
    """Its aliases would end in a dash."""
    state, _ = _promote(_state(_version(1, 0.5, 10), _version(2, 0.6, 5, **{name.replace(".", "__"): ""})))
    assert set(state.aliases.values()) == {1}


@pytest.mark.parametrize(
    "text", ["garbage", "[1]", '{"map": 1}', '{"map": "up"}', "null", "[" * 10_000, "1e400"]
)
@pytest.mark.parametrize("name", ["nas.objectives", "nas.goal.pi", MEMORY])
def test_a_setting_that_another_program_has_changed_is_one_sentence(name: str, text: str) -> None:
    """With the remedy; what still has a meaning is taken."""
    state = replace(_state(_version(1, 0.5, 10)), tags={name: text}, aliases={"champion": 1})
    with pytest.raises(
        RegistryError, match=rf"The tag {name} of the registered model is not as .* delete it"
    ):
        decide(MODEL, state, Request())


def test_float_and_unmeasured_versions_are_no_candidates() -> None:
    """A version without latency or with NaN, and a float one, get no tags; impossible figures are named."""
    others = [
        _version(2, 0.9, 1, nas__precision="fp32"),
        _version(3, 0.9, 1, latency_ms=None),
        _version(4, 0.9, 1, map="nan"),
        _version(5, 1.7, 1),
    ]
    state, decision = _promote(_state(_version(1, 0.5, 10), *others))
    assert set(state.aliases.values()) == {1}
    assert [version.tags.get("nas.pareto") for version in state.versions] == ["true", None, None, None, None]
    assert decision.notes == ("Version 5 is not compared: map is 1.7, an accuracy lies in 0..1.",)


def test_a_model_of_refused_versions_alone_has_no_aliases_and_no_error() -> None:
    """A search whose latencies are all unstable ends with a sentence for each."""
    decision = decide(MODEL, _state(_version(1, 0.5, 10, nas__latency_unstable="true")), Request())
    assert (decision.aliases, decision.front) == ({}, ())
    assert decision.notes == ("Version 1 is not compared: its latency is unstable.",)


def test_a_version_whose_latency_is_removed_loses_its_tags() -> None:
    """And leaves the front."""
    state, _ = _promote(_state(_version(1, 0.5, 10), _version(2, 0.6, 11)))
    first = Version(1, {name: one for name, one in state.versions[0].tags.items() if name != "latency_ms"})
    state, _ = _promote(replace(state, versions=(first, state.versions[1])))
    assert "nas.pareto" not in state.versions[0].tags
    assert set(state.aliases.values()) == {2}


def test_the_users_own_aliases_are_left_alone() -> None:
    """Even one that begins like an alias of mlflow_nas."""
    own = {"champion-2024": 1, "production": 1}
    state, _ = _promote(replace(_state(_version(1, 0.5, 10), _version(2, 0.6, 5)), aliases=own))
    assert {name: state.aliases[name] for name in own} == own


def test_unknown_board_and_data_set_are_named_with_the_known_ones() -> None:
    """The error has the values for the next call."""
    with pytest.raises(RegistryError, match="has no int8 version with map and latency_ms"):
        decide(MODEL, _state(), Request())
    state = _state(_version(1, 0.5, 10))
    with pytest.raises(RegistryError, match="measured on board 'imx': known are pi"):
        decide(MODEL, state, Request(board="imx"))
    with pytest.raises(RegistryError, match="on data set 'e@2': known are d@1"):
        decide(MODEL, state, Request(dataset="e@2"))
