"""Tables of others: what is read, what is missing, what is refused with which words."""

import gzip
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate import MeasuredTable, StrategySelector, read_table, select_from_table, strategy_named
from mlflow_nas.estimate.selector import stages

SMALL = """net,acc,again,good,holes,words,ops,number,time_good
a,0.1,0.2,1,-1e8,up,"(0, 3)",5,0.5
b,0.2,,2,,down,"(1, 3)",,0.7
c,,,3,7,up,"(0, 2)",7,0.9
d,0.4,0.3,4,8,up,"(1, 3, 9)",9,1.1
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_text(SMALL, encoding="utf-8")
    return path


def _read(path: Path, **options: Any) -> MeasuredTable:
    return read_table(path, **{"target": "acc", "scores": ["good"], **options})


def test_sentinels_and_empty_cells_are_missing(small: Path) -> None:
    """A score at -1e8 and one that is not there are NaN; other numbers stay."""
    features = _read(small, scores=["good", "holes"]).features
    assert features.scores["good"].tolist() == [1, 2, 3, 4]
    assert np.isnan(features.scores["holes"]).tolist() == [True, True, False, False]
    assert features.seconds == {"good": pytest.approx(0.8)}
    assert features.zero_cost == ("good", "holes")


def test_features_are_filled_and_words_become_columns(small: Path) -> None:
    """A missing number is the median; a word is one column, a list one column per position and value."""
    encoding = _read(small, features=["number"], categorical=["words", "ops"]).features.encoding
    assert encoding[:, 0].tolist() == [5, 7, 7, 9]
    assert encoding[:, 1:3].tolist() == [[0, 1], [1, 0], [0, 1], [0, 1]]
    assert encoding.shape == (4, 1 + 2 + 2 + 2 + 2)
    assert (encoding[:, 3:].sum(axis=1) == 3).all()


def test_a_feature_may_be_named_as_both(small: Path) -> None:
    """Categorical wins, and nothing stands twice."""
    assert _read(small, features=["words"], categorical=["words"]).features.encoding.shape == (4, 2)


def test_a_compressed_table_is_the_same_table(small: Path, tmp_path: Path) -> None:
    """.gz is read as it is."""
    packed = tmp_path / "small.csv.gz"
    packed.write_bytes(gzip.compress(small.read_bytes()))
    assert _read(packed).features.scores["good"].tolist() == [1, 2, 3, 4]


def test_only_measured_rows_are_sampled(small: Path) -> None:
    """A row without a target is in the pool and never in the sample; a smaller sample begins the larger."""
    table = _read(small)
    assert sorted(table.sample(3, seed=0).tolist()) == [0, 1, 3]
    assert table.sample(2, seed=0).tolist() == table.sample(3, seed=0).tolist()[:2]
    assert len(table.features) == 4
    with pytest.raises(ConfigError, match="--samples 4 exceeds the 3 rows with a measured target"):
        table.sample(4, seed=0)


def test_rows_are_chosen_by_value(small: Path) -> None:
    """`where` keeps the rows that agree."""
    assert len(_read(small, where=["words=up"]).features) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "map"}, r"has no column 'map': it has net, acc, again, good"),
        ({"scores": ["god"]}, r"has no column 'god': did you mean good\?"),
        ({"scores": ["net"]}, r"Column net of .* holds 'a' in row 1, which is not a number: fix it"),
        ({"target": "words"}, r"Column words of .* holds 'up' in row 1, which is not a number"),
        ({"features": ["ops"]}, r"holds '\(0, 3\)' in row 1, .* read the column with --features-cat"),
        ({"scores": ["acc"]}, r"--target acc is also among the scores or features"),
        ({"where": ["words=left"]}, r"No row of .* has words=left: its first values are up, down"),
        ({"where": ["words"]}, r"--where 'words' is not COLUMN=VALUE"),
        ({"where": ["net=a"], "features": ["number"], "scores": []}, None),
    ],
)
def test_unreadable_columns_are_reported(small: Path, options: dict[str, Any], message: str | None) -> None:
    """Value, place and remedy stand in the sentence."""
    if message is None:
        assert len(_read(small, **options).features) == 1
        return
    with pytest.raises(ConfigError, match=message):
        _read(small, **options)


def test_a_feature_without_any_number_is_refused(tmp_path: Path) -> None:
    """There is no median of nothing."""
    path = tmp_path / "empty.csv"
    path.write_text("acc,x\n1,\n2,\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="The feature x is empty in every row: leave it out"):
        read_table(path, target="acc", features=["x"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "can't be read: No such file or directory"),
        ("empty.csv", b"", "is not a CSV file with a header"),
        ("torn.csv.gz", gzip.compress(SMALL.encode(), mtime=0)[:60], "is not a CSV file with a header"),
        ("not.csv.gz", SMALL.encode(), "can't be read: Not a gzipped file"),
        ("zipped.csv", gzip.compress(SMALL.encode()), "is not a CSV file with a header"),
        ("head.csv", b"acc,good\n", "has a header and 0 rows: add"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """Missing, empty, torn or of another kind: one sentence."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        _read(path)


def _made(n: int = 60) -> MeasuredTable:
    """Scores of different worth, of which the first 30 rows were trained twice."""
    path_free = np.random.default_rng(0)
    target = path_free.normal(size=n)
    features = _features(target, path_free)
    return MeasuredTable(features, target, np.where(np.arange(n) < 30, target, np.nan))


def _features(target: np.ndarray, rng: np.random.Generator):  # type: ignore[no-untyped-def, type-arg]
    from mlflow_nas.estimate import ArchitectureFeatures

    n = len(target)
    names = ("good", "noise", "synflow")
    scores = {"good": target + rng.normal(0, 0.2, n), "noise": rng.normal(size=n), "synflow": target * 1}
    empty = np.empty((n, 0))
    return ArchitectureFeatures(
        encoding=target[:, None], complexity=empty, scores=scores, zero_cost=names, curve=empty
    )


def test_a_table_is_judged_by_what_it_holds() -> None:
    """Its scores as they are, models on its features, hybrids on its scores; nothing that needs more."""
    table = _made()
    names = ["bayesian_ridge", "br_zc", "vote", "lcsvr", "snip", "synflow"]
    selector = StrategySelector(strategies=[strategy_named(name) for name in names], draws=300)
    result = select_from_table(table, selector, samples=20, seed=0)
    assert {row.name for row in result.strategies} == {"good", "noise", "synflow", "bayesian_ridge", "br_zc"}
    families = {row.name: row.family for row in result.strategies}
    assert (families["good"], families["br_zc"]) == ("zero-cost", "hybrid")
    assert result.samples == 20
    assert result.noise is not None
    assert result.noise.ceiling == 1.0


def test_a_sequential_choice_stops_as_soon_as_it_knows() -> None:
    """20 samples settle a clear case; noise takes all that there are."""
    table = _made()
    selector = StrategySelector(strategies=[], draws=300)
    assert select_from_table(table, selector, samples=40, seed=0, sequential=True).samples == 20
    features = replace(
        table.features,
        zero_cost=(),
        scores={f"n{i}": np.random.default_rng(i + 1).normal(size=60) for i in range(12)},
    )
    noise = MeasuredTable(features, table.target, None)
    result = select_from_table(noise, selector, samples=32, seed=0, sequential=True)
    assert result.samples == 32
    assert result.selected is None
    assert math.isfinite(result.tau)


def test_the_sizes_of_a_sequential_choice() -> None:
    """From 20 in steps of five to the end; fewer than 20 are looked at once."""
    assert stages(40, sequential=True) == [20, 25, 30, 35, 40]
    assert stages(40, sequential=False) == [40]
    assert stages(12, sequential=True) == [12]
