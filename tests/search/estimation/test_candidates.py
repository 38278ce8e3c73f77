"""Drawing candidates, and selecting those to train."""

from itertools import islice

import numpy as np

from mlflow_nas.search.estimation.candidates import combination, draw_distinct, select_diverse_pareto
from mlflow_nas.space import fastestdet_head, narrow


def _select(
    scores: list[float], latency_ms: list[float], combinations: list[object], **options: int
) -> list[int]:
    points = np.array([scores, latency_ms]).T
    return select_diverse_pareto(points, (True, False), combinations, **options)


def test_the_front_comes_first_then_the_rest() -> None:
    """Of one latency the better score wins; the dominated follows; within a front the score decides."""
    selected = _select([1, 3, 2, 2.5], [1, 3, 3.5, 2], [0, 1, 2, 3], count=4, max_per_combination=1)
    assert selected == [1, 3, 0, 2]


def test_near_copies_wait_until_other_combinations_had_their_turn() -> None:
    """Four near-copies score best; two are taken, then the other combination, then the rest."""
    values, combinations = [6.0, 5.0, 4.0, 3.0, 1.0], ["a", "a", "a", "a", "b"]
    for count, expected in ((3, [0, 1, 4]), (4, [0, 1, 4, 2]), (9, [0, 1, 4, 2, 3])):
        selected = _select(values, values, list(combinations), count=count, max_per_combination=2)
        assert selected == expected


def test_candidates_with_a_missing_value_are_never_selected() -> None:
    """Neither a failed score nor a missing latency is a number."""
    assert _select([np.nan, 1, 2], [1, 1, np.nan], [0, 1, 2], count=3, max_per_combination=1) == [1]


def test_any_number_of_objectives_is_taken() -> None:
    """With the score alone the list is sorted by it; a third objective keeps what two dominate."""
    scores = np.array([1.0, 3.0, 2.0])
    one = select_diverse_pareto(scores[:, None], (True,), [0, 1, 2], count=3, max_per_combination=1)
    assert one == [1, 2, 0]
    points = np.column_stack([scores, np.ones(3), scores])
    three = select_diverse_pareto(points, (True, False, False), [0, 1, 2], count=3, max_per_combination=1)
    assert three == [1, 2, 0]


def test_a_small_space_is_drawn_whole_and_each_member_once() -> None:
    """2,080 architectures without the one that is trained; the same seed gives the same order."""
    space = fastestdet_head()
    drawn = [space.key(one) for one in draw_distinct(space, without={"k5-g1-c96-w320"}, seed=3)]
    assert len(drawn) == len(set(drawn)) == space.size - 1
    assert drawn[:5] == [
        space.key(one) for one in islice(draw_distinct(space, without={"k5-g1-c96-w320"}, seed=3), 5)
    ]
    assert drawn[:5] != [space.key(one) for one in islice(draw_distinct(space, without=(), seed=4), 5)]


def test_a_combination_leaves_sizes_out() -> None:
    """Kernel and groups, also in a space that was narrowed to few widths."""
    space = narrow(fastestdet_head(), ("img_width=220", "240"))
    assert combination(space, {"kernel_size": 3, "groups": 4, "channels": 24, "img_width": 240}) == (3, 4)
