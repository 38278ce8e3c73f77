"""The supernet of a study: cached, resumable, a source of scores."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from contexts import SMALL, Recorder, entries, open_context

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import SeedWeights
from mlflow_nas.tasks import evaluate_network
from mlflow_nas.trial import (
    StudyContext,
    Supernet,
    open_supernet,
    parse_objectives,
    run_again,
    run_trial,
    start_of,
)
from mlflow_nas.types import Architecture, TrialResult

MIDDLE = {"channels": 16, "kernel_size": 3, "img_width": 96}


def _open(folder: Path, **changes: object) -> StudyContext:
    """A study of one epoch, whose seed network is the baseline with its first weights."""
    context = open_context(folder, epochs=1, **changes)
    state = context.build(context.space.baseline).state_dict()
    return context.with_seed_network(SeedWeights(state=state, source="seed.pth"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose step cache holds a trained supernet."""
    folder = tmp_path_factory.mktemp("supernet")
    open_supernet(_open(folder))
    return folder


def _weights(supernet: Supernet) -> dict[str, torch.Tensor]:
    return supernet.network(MIDDLE).state_dict()


def test_a_supernet_is_trained_once(trained: Path) -> None:
    """The step cache holds it; opening it again trains nothing, and its cost is known."""
    heard = Recorder()
    supernet = open_supernet(_open(trained), listener=heard)
    assert (heard.steps, heard.epochs) == (["supernet"], [])
    assert supernet.train_s > 0
    assert [one for one in entries(trained) if one.startswith("supernet/")]


def test_a_supernet_of_other_inputs_is_another_one(trained: Path, tmp_path: Path) -> None:
    """The seed, for one, is a part of its fingerprint."""
    open_supernet(_open(tmp_path, seed=1))
    first, other = (
        {one for one in entries(folder) if one.startswith("supernet/")} for folder in (trained, tmp_path)
    )
    assert not first & other


def test_scores_are_cached_with_their_seconds(trained: Path) -> None:
    """A score is the objective on val, the same number and cost when it is asked for again."""
    supernet = open_supernet(_open(trained))
    first = supernet.score(MIDDLE)
    assert 0 <= first.quality <= 1
    assert first.seconds > 0
    assert open_supernet(_open(trained)).score(MIDDLE) == first


def test_a_score_is_the_accuracy_of_the_whole_network(trained: Path) -> None:
    """With its backbone, in float, evaluated as a trial evaluates it."""
    context = _open(trained, objectives=parse_objectives(("map_50", "latency_ms")))
    supernet = open_supernet(context)
    whole = evaluate_network(supernet.network(SMALL), context.data(SMALL))
    assert supernet.score(SMALL).quality == pytest.approx(whole["map_50_fp32"], abs=0.01)


@pytest.mark.slow
def test_a_score_of_the_file_that_ships_is_that_of_int8(trained: Path) -> None:
    """Of the adapted network; no file is kept. Slow: one is exported."""
    found = open_supernet(_open(trained)).score(SMALL, shipped=True)
    assert 0 <= found.quality <= 1
    assert not list((trained / "cache/supernet-score").rglob("*.onnx"))


def test_a_candidate_is_compared_after_epochs_of_its_own(trained: Path) -> None:
    """From the shared weights, with the same result each time; the shared weights stay. Here in float."""
    context = _open(trained, precision="fp32")
    supernet = open_supernet(context)
    before, adapted = supernet.network(SMALL).state_dict(), supernet.adapted(SMALL)
    assert not torch.equal(adapted.state_dict()["head.0.weight"], before["head.0.weight"])
    assert torch.equal(supernet.network(SMALL).state_dict()["head.0.weight"], before["head.0.weight"])
    expected = evaluate_network(adapted, context.data(SMALL))["map_fp32"]
    assert supernet.score(SMALL, shipped=True).quality == pytest.approx(expected, abs=1e-6)


def test_an_objective_that_is_no_accuracy_is_refused(trained: Path) -> None:
    """The sentence names what can be estimated."""
    supernet = open_supernet(_open(trained, objectives=parse_objectives(("params", "map"))))
    with pytest.raises(ConfigError, match=r"The strategy supernet estimates map, map_50, and the first"):
        supernet.score(MIDDLE)


def test_an_interrupted_training_continues(trained: Path, tmp_path: Path) -> None:
    """In the step cache's unfinished folder, to the same weights."""

    def interrupt(number: int) -> None:
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_supernet(_open(tmp_path), listener=Recorder(on_epoch=interrupt))
    heard = Recorder()
    resumed = _weights(open_supernet(_open(tmp_path), listener=heard))
    assert heard.epochs == [4, 5]
    assert all(
        torch.equal(value, resumed[name]) for name, value in _weights(open_supernet(_open(trained))).items()
    )


def test_architectures_of_one_input_size_are_scored_together(trained: Path) -> None:
    """Their images are prepared once."""
    supernet = open_supernet(_open(trained))
    widths = [{**MIDDLE, "img_width": width} for width in (128, 64, 128, 96)]
    assert supernet.ordered(widths) == [1, 3, 0, 2]


def _trial(accuracy: float, architecture: Architecture = MIDDLE) -> TrialResult:
    """A finished trial whose network had this mAP after its last epoch."""
    return TrialResult(
        key="middle", architecture=architecture, state="complete", history=({"map_fp32": accuracy},)
    )


def test_a_finalist_starts_from_the_supernet_where_a_trial_from_it_ends_better(trained: Path) -> None:
    """By the same short training, which is cached; the seed network itself starts as it is."""
    context, key = _open(trained), "c16-k3-w96"
    starts = start_of(context, _trial(-1.0))
    assert starts.keys() == {key}
    own, transferred = replace(context, starts=starts).build(MIDDLE), context.build(MIDDLE)
    assert all(torch.equal(value, starts[key][name]) for name, value in own.state_dict().items())
    assert not torch.equal(own.state_dict()["head.0.weight"], transferred.state_dict()["head.0.weight"])
    heard = Recorder()
    assert start_of(context, _trial(2.0), listener=heard) == {}
    assert (heard.steps, heard.epochs) == (["supernet", "train"], [])
    assert start_of(context, _trial(-1.0, context.space.baseline), listener=(unheard := Recorder())) == {}
    assert not unheard.steps


def test_a_finalist_of_the_supernet_is_computed_again_from_its_start(trained: Path) -> None:
    """Where its files are gone; one that started from transferred weights is another training."""
    context = _open(trained)
    starts = start_of(context, _trial(-1.0, SMALL))
    found = run_trial(replace(context.finishing(1), starts=starts), SMALL, role="finalist")
    stored = replace(found, metrics={**found.metrics, "from_supernet": 1.0}, artefacts={})
    assert run_again(context, stored).artefacts == found.artefacts
    plain = replace(stored, metrics={**found.metrics, "from_supernet": 0.0})
    assert run_again(context, plain).artefacts["weights"] != found.artefacts["weights"]
