"""`report` of several studies."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlflow_nas import api
from mlflow_nas.errors import ConfigError
from mlflow_nas.tracking import experiment_id

pytestmark = pytest.mark.usefixtures("_own_folder")

TAGS = {"nas.dataset": "coco@1", "nas.space": "chain", "nas.choices": "a", "nas.precision": "int8"}


@pytest.fixture
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No study lies in the work folder: reports read MLflow."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))


def _study(uri: str, name: str, best: float, **changed: str) -> None:
    """A study's run of which one full search has ended."""
    client = MlflowClient(uri)
    tags = {"nas.study": name, "nas.role": "study", **TAGS, **{f"nas.{n}": v for n, v in changed.items()}}
    run = client.create_run(experiment_id(client, "mlflow-nas"), tags=tags)
    client.log_metric(run.info.run_id, "cost.full/best_quality", best)


def test_studies_of_several_seeds_are_averaged(tracking_uri: str) -> None:
    """One row, with the mean of what they found."""
    _study(tracking_uri, "first", 0.25)
    _study(tracking_uri, "second", 0.75)
    (row,) = api.report(study=("first", "second")).rows
    assert row["best_quality"] == 0.5


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"dataset": "coco@2"}, "different data .*'first' has 'coco@1', 'other' has 'coco@2'"),
        ({"space": "cell"}, "different search spaces"),
        ({"choices": "b"}, "different choices"),
        ({"precision": "fp32"}, "different precisions"),
    ],
)
def test_what_answers_another_question_is_not_averaged(
    changed: dict[str, str], named: str, tracking_uri: str
) -> None:
    """It is refused, with both values and what to do."""
    _study(tracking_uri, "first", 0.25)
    _study(tracking_uri, "other", 0.75, **changed)
    with pytest.raises(ConfigError, match=f"{named}.*one by one"):
        api.report(study=("first", "other"))
    assert api.report(study=("other",)).studies == ("other",)


@pytest.mark.parametrize("studies", [("first",), ("first", "second", "third")])
def test_a_comparison_names_two_studies(studies: tuple[str, ...], tracking_uri: str) -> None:  # noqa: ARG001
    """Neither one nor three."""
    with pytest.raises(ConfigError, match=f"names {len(studies)} studies, .* write --compare FIRST,SECOND"):
        api.report(compare=studies)


def test_only_studies_of_the_storage_have_a_page(tracking_uri: str, tmp_path: Path) -> None:
    """MLflow holds the costs of one alone; a comparison needs both in the storage."""
    _study(tracking_uri, "first", 0.25)
    assert api.report(study="first", out=tmp_path / "page.html").pages == ()
    with pytest.raises(ConfigError, match="There is no study 'first' in this storage"):
        api.report(compare=("first", "second"))
