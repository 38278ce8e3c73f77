"""Searches of other spaces, end to end, on the fake board and generated scenes."""

from pathlib import Path
from typing import Any

import mlflow
import pytest

from mlflow_nas import api
from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.search import Candidate
from mlflow_nas.search import study as study_module
from mlflow_nas.types import Evaluation

PROJECT = Path(__file__).parents[2]
DATA = {
    "data": "synthetic:train=8,val=4,size=96",
    "epochs": 1,
    "board": "fake",
    "seed": 1,
    "max_int8_drop": 1,
}
SEARCH = {**DATA, "seed_epochs": 1, "device": "none", "trials": 2}


UNBUILDABLE = """
from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from mlflow_nas.space import Parameter, SearchSpace, fastestdet_head


@dataclass
class Stem:
    groups: int

    def module(self):
        return nn.Conv2d(96, 96, 1, groups=self.groups)


def build(architecture, num_classes):
    head = fastestdet_head()
    network = head.build(head.baseline, num_classes)
    network.head.stem.insert(0, Stem(architecture["groups"]).module())
    return network


SPACE = SearchSpace(
    name="groups",
    parameters={"groups": Parameter(short="g", values=(1, 7))},
    baseline={"groups": 1},
    build=build,
)
"""

pytestmark = pytest.mark.usefixtures("tracking_uri")


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))


def test_a_users_space_is_searched_within_its_choices(tmp_path: Path) -> None:
    """The file that CONTRIBUTING.md shows; the baseline lies outside of them and is trial 0."""
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    file = tmp_path / "bottleneck.py"
    file.write_text(text.partition("```python\n")[2].partition("```")[0], encoding="utf-8")
    options = {**SEARCH, "space": f"{file}:SPACE", "sampler": "auto"}
    result = api.search(**options, set="expansion=1,kernel_size=3,activation=hardswish")
    rows = result["trials"]
    assert [row["key"] for row in rows] == ["e2-k5-arelu", "e1-k3-ahardswish"]
    assert [row["state"] for row in rows] == ["complete", "complete"]
    tags = mlflow.MlflowClient().get_run(result["run_id"]).data.tags
    assert tags["nas.space"] == "bottleneck"
    assert tags["nas.choices"] == "expansion: 1; kernel_size: 3; activation: hardswish"
    assert tags["nas.sampler"] == "random"
    with pytest.raises(
        ConfigError, match=r"was made with choices 'expansion: 1; .* --space and --set of before"
    ):
        api.search(**options, set="expansion=1,2")


@pytest.mark.parametrize(
    ("space", "choices", "key"),
    [
        (
            "chain",
            "stage2_depth=2,stage2_width=16,stage2_kernel=5,stage3_depth=4,stage3_width=32,stage3_kernel=3,"
            "stage4_depth=3,stage4_width=64,stage4_kernel=5,img_width=220",
            "s2d2-s2w16-s2k5-s3d4-s3w32-s3k3-s4d3-s4w64-s4k5-w220",
        ),
        (
            "cell",
            "edge01=dw3,edge02=avg3,edge12=skip,edge03=none,edge13=conv1,edge23=dw5,"
            "neck_cells=1,head_cells=1,channels=24,img_width=220",
            "e01dw3-e02avg3-e12skip-e03none-e13conv1-e23dw5-n1-h1-c24-w220",
        ),
    ],
    ids=["chain", "cell"],
)
def test_a_chain_and_a_cell_are_searched(
    space: str, choices: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The baseline is trained as seed network; a smaller one inherits from it, ships as int8, is measured."""
    real = study_module.evaluate_candidate

    def evaluate(candidate: Candidate, **more: Any) -> Evaluation:
        if candidate.number == 0:
            raise CandidateError("a training of the baseline is enough")
        return real(candidate, **more)

    monkeypatch.setattr(study_module, "evaluate_candidate", evaluate)
    result = api.search(**SEARCH, space=space, sampler="random", set=choices)
    assert [row["state"] for row in result["trials"]] == ["failed", "complete"]
    assert result["trials"][1]["key"] == key
    assert [row["trial"] for row in result["front"]] == [1]
    runs = mlflow.MlflowClient().search_runs([result["experiment_id"]])
    data = {run.data.tags["nas.role"]: run.data for run in runs}
    assert data["study"].tags["nas.space"] == space
    asked = dict(choice.split("=") for choice in choices.split(","))
    assert {f"arch.{name}": value for name, value in asked.items()} == data["trial"].params
    seed, smaller = data["seed"].metrics, data["trial"].metrics
    assert all(smaller[cost] < seed[cost] for cost in ("params", "macs"))
    assert smaller["latency_ratio"] < 1
    assert {"map", "map_50", "map_fp32"} <= smaller.keys()


def test_what_a_users_space_cannot_build_has_failed_and_the_search_goes_on(tmp_path: Path) -> None:
    """Its run says why; the next call does not end with it either."""
    file = tmp_path / "groups.py"
    file.write_text(UNBUILDABLE, encoding="utf-8")
    options = {**SEARCH, "space": f"{file}:SPACE", "sampler": "random", "seed_epochs": 0, "set": "groups=7"}
    for trials in (2, 3):
        result = api.search(**{**options, "trials": trials})
        assert [row["state"] for row in result["trials"]] == ["complete", "failed"]
    runs = mlflow.MlflowClient().search_runs([result["experiment_id"]])
    (failed,) = [run for run in runs if run.info.status == "FAILED"]
    assert failed.data.tags["nas.error"] == (
        "CandidateError: The space groups can't build g7: ValueError: in_channels must be divisible by groups"
    )


def test_a_budget_ends_a_search_and_is_judged() -> None:
    """Nothing fits after the baseline; the study says so and can go on."""
    result = api.search(**{**SEARCH, "trials": 3}, space="multi-branch", budget_s=0.5)
    assert [row["trial"] for row in result["trials"]] == [0]
    tags = mlflow.MlflowClient().get_run(result["run_id"]).data.tags
    assert tags["nas.plan"] == "estimate recommended"
    assert "3 trials of" in tags["nas.plan_because"]


def test_train_takes_an_architecture_of_any_space() -> None:
    """From --arch, and from the options that name one of its parameters; others are refused."""
    trained = api.train(**DATA, space="multi-branch", arch="branch2=none,fusion=sum", channels=24)
    assert trained["key"] == "b1k5d1-b2none-b3k5d3-fsum-c24-w320"
    with pytest.raises(ConfigError, match="The space cell has no parameter 'groups'"):
        api.train(**DATA, space="cell", groups=2)
