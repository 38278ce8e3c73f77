"""A study is opened, and held to what it was made with."""

from typing import Any

import pytest
from user_folder import SMALL, UserFolder

from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.errors import ConfigError
from mlflow_nas.search import Session, no_faster_in_int8, open_session


def _open(folder: UserFolder, **options: Any) -> Session:
    with folder.entered():
        session = open_session(load_config(SearchConfig, {**SMALL, **options}))
        session.close()
    return session


@pytest.fixture(scope="module")
def made(user_folder: UserFolder) -> UserFolder:
    """A folder in which the study demo exists."""
    _open(user_folder)
    return user_folder


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"data": "synthetic:train=8,val=5,size=128"}, "nas.dataset 'synthetic@"),
        ({"data.eval_augmentations": 1}, "nas.dataset 'synthetic@"),
        ({"data": "synthetic:train=8,val=4,test=3,size=128"}, "test None"),
        ({"epochs": 2}, "epochs 1, this call has 2"),
        ({"seed": 2}, "seed 1, this call has 2"),
        ({"training.seed_epochs": 3}, "seed_epochs 10, this call has 3"),
        ({"training.batch_size": 4}, "batch_size 8, this call has 4"),
        ({"training.freeze": "none", "training.distillation": 0.1}, "recipe .*distillation"),
        ({"space.aspect": 2.0}, r"aspect 1\.0, this call has 2\.0"),
        ({"board.threads": 2}, "nas.protocol '"),
        ({"quantization.input": "float-nchw"}, "input 'uint8-nhwc-rgbx', this call has 'float-nchw'"),
        ({"quantization.output": "boxes"}, "output 'network', this call has 'boxes'"),
        ({"quantization.precision": "fp32"}, "nas.precision 'int8', this call has 'fp32'"),
        ({"set": "space.channels=8"}, "choices 'channels: 8..24 step 8.*this call has 'channels: 8;"),
        ({"objectives": "map,macs"}, "objectives map, latency_ms, this call has map, macs"),
    ],
)
def test_a_study_keeps_what_its_results_depend_on(
    options: dict[str, Any], name: str, made: UserFolder
) -> None:
    """Results of others could not be compared; the sentence has both values and the remedy."""
    with pytest.raises(ConfigError, match=rf"study 'demo' was made with (the )?{name}.*another --study"):
        _open(made, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"trials": 99, "sampler": "random"},
        {"limit": ["params<=1e5"]},
        {"quantization.max_drop": 0.5},
        {"workers": 2, "training.threads": 1},
        {"registry.max_drop": 0.5, "model": "other"},
    ],
)
def test_the_rest_may_change(options: dict[str, Any], made: UserFolder) -> None:
    """A study is continued with other limits, budgets, workers and another model."""
    assert _open(made, **options).store.study.study_name == "demo"


def test_the_sampler_is_chosen_with_its_reason(made: UserFolder) -> None:
    """By the user, or by the size of the space and the number of trials."""
    assert _open(made, sampler="nsga2").sampler.choice == "nsga2"
    automatic = _open(made, sampler="auto", trials=18).sampler
    assert automatic.choice == "random"
    assert "18 trials of 18 architectures: every architecture" in automatic.because


def test_a_continued_study_draws_with_another_seed(user_folder: UserFolder) -> None:
    """It would propose the same architectures again."""
    keys = []
    for _ in range(2):
        claims = _open(user_folder, study="drawn", sampler="random").claims
        claim = claims.next(limit=9)
        if claim is not None and claim.architecture == claims.space.baseline:
            claim = claims.next(limit=9)
        assert claim is not None
        keys.append(claim.key)
    assert keys[0] != keys[1]


def test_there_is_no_study_of_that_name(made: UserFolder) -> None:
    """The sentence names those that there are; no folder is made for a mistyped name."""
    with pytest.raises(ConfigError, match=r"There is no study 'dmo' in this storage, known are (?!none)"):
        made.store("dmo")
    assert not (made.path / made.work / "studies/dmo").exists()


@pytest.mark.parametrize("ratio", [0.8, 1.0])
def test_a_board_where_int8_is_no_faster_is_named(ratio: float) -> None:
    """The sentence has the int8 file's share of the float file's time, and what can be done."""
    note = no_faster_in_int8(ratio, "old-x86")
    assert note is not None
    assert note.startswith(
        f"Int8 is no faster on old-x86: the baseline's int8 file takes {1 / ratio:.2f} of "
    )
    assert "quantization.precision=fp32" in note
    assert no_faster_in_int8(1.01, "board") is None
