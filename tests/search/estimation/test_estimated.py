"""Searches that train the candidates that an estimate chose."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fake_study import OBJECTIVES, FakeStudy, size_of

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.estimate import strategy_named
from mlflow_nas.search import EstimatedResult, EstimateOptions, full_cost, search_estimated
from mlflow_nas.space import FastestDet, SearchSpace
from mlflow_nas.types import Architecture, Limit, Objective

Make = Callable[..., FakeStudy]


def _options(strategy: str, **known: Any) -> EstimateOptions:
    settings = {"candidates": 40, "top_k": 2, "latency_samples": 10, **known}
    return EstimateOptions(strategy=strategy_named(strategy), **settings)


def _search(study: FakeStudy, strategy: str, **known: Any) -> EstimatedResult:
    return search_estimated(study, _options(strategy, **known))


def test_a_search_by_macs_trains_the_baseline_and_the_best(study_of: Make) -> None:
    """Of sixty candidates ten are measured and the two largest trained; a repeated call does neither."""
    study = study_of()
    result = _search(study, "macs", candidates=60)
    assert study.trained == ["k5-g1-c96-w320", "k3-g1-c40-w236", "k3-g1-c40-w232"]
    assert [study.chosen_by[one.key] for one in study.trials] == [None, "macs", "macs"]
    assert len(study.context.screened) == 10
    assert "cross-validated error" in result.shortlist.latency_model
    assert result.decided is not None
    assert result.decided.role == "baseline"
    assert (result.costs["candidates"], result.costs["trainings"], result.costs["seed_s"]) == (60, 3, 5)
    assert result.costs["latency_error"] < 0.2
    assert result.costs["search_s"] >= 60 * result.costs["query_s"] > 0
    assert study.storage["estimation/costs/macs"] == result.costs
    again = _search(study, "macs", candidates=60)
    assert json.loads(json.dumps(again.as_json())) == json.loads(json.dumps(result.as_json()))
    assert (len(study.trained), len(study.context.screened)) == (3, 10)


def test_everything_that_is_kept_is_plain_json(study_of: Make) -> None:
    """A shortlist that went through JSON is continued."""
    study = study_of()
    first = _search(study, "params")
    study.storage = json.loads(json.dumps(study.storage))
    assert _search(study, "params").as_json() == first.as_json()
    assert len(study.trained) == 3


def test_architectures_that_cannot_be_built_are_no_candidates(
    study_of: Make, space: SearchSpace, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of a user's space is searched."""

    def build(architecture: Architecture, classes: int) -> FastestDet:
        if architecture["groups"] == 1 and int(architecture["channels"]) < 96:
            raise CandidateError("The space can't build it.")
        return space.build(architecture, classes)

    study = study_of(space=replace(space, build=build))
    _search(study, "macs")
    assert len(study.trained) == 3
    assert not any("-g1-" in key for key in study.trained[1:])
    assert "can't be built and is left out: The space can't build it." in caplog.text


def test_architectures_that_the_board_refuses_are_no_candidates(study_of: Make) -> None:
    """They have no latency, measured or not needed for the model."""
    refused = {f"k3-g1-c40-w{width}" for width in range(220, 240, 4)}
    study = study_of(refused=refused)
    result = _search(study, "macs", latency="measure", candidates=60)
    assert result.costs["candidates"] == 55
    assert not refused & set(study.trained)


def test_a_model_learns_from_the_studys_samples(study_of: Make, space: SearchSpace) -> None:
    """Without samples the error tells how to get them; its costs and the full search's are kept."""
    study = study_of()
    with pytest.raises(
        ConfigError, match=r"bayesian_ridge needs 10 trained samples, the study has 0: .*select"
    ):
        _search(study, "bayesian_ridge")
    sample = [
        {**space.baseline, "channels": 24 + 8 * (i % 3), "img_width": 220 + 4 * (i % 5)} for i in range(12)
    ]
    study.train(sample, count=12)
    assert full_cost(study)["trainings"] == 13
    before = set(study.trained)
    result = _search(study, "bayesian_ridge")
    assert len(study.trained) == len(before) + 2
    assert not before & set(study.trained[len(before) :])
    assert study.context.screened == [], "the samples' latencies suffice"
    assert (result.costs["samples"], result.costs["trainings"]) == (13, 15)
    assert result.costs["samples_s"] == 13 * 12.0
    assert result.costs["best_quality"] == max(one.metrics["map"] for one in study.trials)
    assert _search(study, "macs").costs["samples"] == 13, "what an estimate chose is no sample"


def test_an_interrupted_search_continues(study_of: Make) -> None:
    """Killed while it measures, then while it trains: nothing is measured or trained twice."""
    study = study_of()

    def die_at(bound: int) -> Callable[[int], None]:
        def die(count: int) -> None:
            if count == bound:
                raise KeyboardInterrupt

        return die

    study.context.on_screen = die_at(6)
    with pytest.raises(KeyboardInterrupt):
        _search(study, "act_elems")
    seconds = study.storage["estimation/screen_s"]
    study.context.on_screen = lambda _count: None
    study.on_train = die_at(2)
    with pytest.raises(KeyboardInterrupt):
        _search(study, "act_elems")
    shortlist = study.storage["estimation/shortlist/act_elems"]
    study.on_train = lambda _count: None
    result = _search(study, "act_elems")
    assert len(study.context.screened) == len(set(study.context.screened)) == 10
    assert len(study.trained) == len(set(study.trained)) == 3
    assert study.storage["estimation/shortlist/act_elems"] == shortlist
    assert result.costs["latency_s"] > seconds > 0


@pytest.mark.parametrize("latency", ["predict", "measure"])
@pytest.mark.parametrize("limit", [Limit("latency_ms", "<=", 3.0), Limit("speedup", ">=", 4.0)])
def test_candidates_keep_a_limit_on_latency(study_of: Make, limit: Limit, latency: str) -> None:
    """By its milliseconds or its speed-up, as predicted or measured."""
    result = _search(study_of(limits=(limit,)), "macs", latency=latency)
    assert bool(result.shortlist.latency_model) == (latency == "predict")
    assert all(row["latency_ms"] <= 3.0 for row in result.shortlist.rows)
    assert result.decided is not None
    assert 2 + size_of(result.decided.architecture) <= 3.0
    assert "reference_quality" not in result.costs, "the baseline misses the limit"


def test_candidates_keep_limits_on_counts(study_of: Make) -> None:
    """They are checked before anything is measured; limits that exclude all candidates are reported."""
    result = _search(study_of(limits=(Limit("macs", "<=", 2e6),)), "params", candidates=60)
    assert 0 < result.costs["candidates"] < 60
    assert all(row["macs"] <= 2e6 for row in result.shortlist.rows)
    study = study_of(limits=(Limit("params", "<=", 10),))
    with pytest.raises(
        ConfigError, match=r"is within the limits \(params<=10\): relax the one that is too tight"
    ):
        _search(study, "macs")
    assert study.context.screened == []


def test_objectives_are_data(study_of: Make) -> None:
    """Counts need no board; the first objective may be one to minimize; others are measured, or refused."""
    study = study_of(objectives=(Objective("error", "minimize"), Objective("params", "minimize")))
    study.quality_of = lambda architecture: 1 - size_of(architecture) / 100
    result = _search(study, "macs")
    assert study.context.screened == []
    assert "latency_known" in result.costs
    assert result.decided is not None
    assert result.decided.metrics["error"] == min(one.metrics["error"] for one in study.trials)
    energy = (OBJECTIVES[0], Objective("energy_mj", "minimize"))
    assert len(_search(study_of(objectives=energy), "macs", latency="measure").chosen) == 2
    with pytest.raises(
        ConfigError, match=r"energy_mj is unknown before a training.* set search.latency=measure"
    ):
        _search(study_of(objectives=energy), "macs")


def test_a_strategy_of_learning_curves_is_refused(study_of: Make) -> None:
    """It would train every candidate."""
    with pytest.raises(ConfigError, match=r"tse_e needs the first epochs of every candidate's training"):
        _search(study_of(), "tse_e")


def test_a_search_by_the_supernet_counts_its_training(study_of: Make) -> None:
    """Candidates are scored size by size, the listed ones as they ship; all is in the search's seconds."""
    study = study_of()
    result = _search(study, "supernet", candidates=20)
    (supernet,) = study.supernets
    widths = [key.partition("-w")[2] for key in supernet.scored]
    assert (len(widths), widths) == (20, sorted(widths))
    members = result.shortlist.members
    assert sorted(supernet.shipped) == sorted(map(study.context.space.key, members))
    assert [row["score"] for row in result.shortlist.rows] == [
        study.quality_of(member) - 0.001 for member in members
    ]
    assert result.costs["init_s"] == pytest.approx(300, abs=1)
    assert result.costs["query_s"] == 2.0
    assert result.costs["search_s"] > 300
    assert study.chosen_by[result.chosen[0].key] == "supernet"


def test_a_supernet_that_the_selection_trained_is_counted_once(study_of: Make) -> None:
    """Among the search's seconds where it is used, else among the selection's."""
    study = study_of()
    study.storage |= {"estimation/selection_s": 350.0, "estimation/selection_supernet_s": 300.0}
    assert _search(study, "supernet").costs["selection_s"] == 50.0
    assert _search(study, "macs").costs["selection_s"] == 350.0
