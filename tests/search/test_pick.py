"""Which candidates are trained, and which are asked at all."""

from itertools import islice

import numpy as np

from mlflow_nas.search.candidates import combination, draw_distinct
from mlflow_nas.search.pick import pick_candidates
from mlflow_nas.space import fastestdet_head, narrow


def test_the_front_comes_first_then_what_is_left() -> None:
    """Of one latency the better score wins; the dominated follows; within a front the score decides."""
    scores = np.array([1.0, 3.0, 2.0, 2.5])
    latency = np.array([1.0, 3.0, 3.5, 2.0])
    picked = pick_candidates(scores, latency, [0, 1, 2, 3], count=4, per_combination=1)
    assert picked == [1, 3, 0, 2]


def test_near_copies_wait_until_other_combinations_had_their_turn() -> None:
    """Five of six near-copies score best; two are taken, then the other combination, then the rest."""
    scores = np.array([6.0, 5.0, 4.0, 3.0, 1.0])
    latency = np.array([6.0, 5.0, 4.0, 3.0, 1.0])
    combinations = ["a", "a", "a", "a", "b"]
    assert pick_candidates(scores, latency, combinations, count=3, per_combination=2) == [0, 1, 4]
    assert pick_candidates(scores, latency, combinations, count=4, per_combination=2) == [0, 1, 4, 2]
    assert pick_candidates(scores, latency, combinations, count=9, per_combination=2) == [0, 1, 4, 2, 3]


def test_what_is_missing_is_never_picked() -> None:
    """A failed score is no number, and neither is a latency that the board refused to give."""
    scores, latency = np.array([np.nan, 1.0, 2.0]), np.array([1.0, 1.0, np.nan])
    assert pick_candidates(scores, latency, [0, 1, 2], count=3, per_combination=1) == [1]


def test_a_small_space_is_drawn_whole_and_each_member_once() -> None:
    """2,080 architectures without the one that is trained; the same seed gives the same order."""
    space = fastestdet_head()
    drawn = [space.key(one) for one in draw_distinct(space, without={"k5-g1-c96-w320"}, seed=3)]
    assert len(drawn) == len(set(drawn)) == space.size - 1
    assert drawn[:5] == [
        space.key(one) for one in islice(draw_distinct(space, without={"k5-g1-c96-w320"}, seed=3), 5)
    ]
    assert drawn[:5] != [space.key(one) for one in islice(draw_distinct(space, without=(), seed=4), 5)]


def test_a_combination_is_what_is_no_size() -> None:
    """Kernel and groups, also in a space that was narrowed to few widths."""
    space = narrow(fastestdet_head(), ("img_width=220", "240"))
    assert combination(space, {"kernel_size": 3, "groups": 4, "channels": 24, "img_width": 240}) == (3, 4)
