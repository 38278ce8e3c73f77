"""`select --table` as a user types it."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner, Result

from mlflow_nas.cli import main

N = 30


@pytest.fixture
def table(tmp_path: Path, tracking_uri: str) -> Path:  # noqa: ARG001 - the runs go into the test's own store
    """Thirty architectures: a good score, the FLOPs, a useless score with gaps, two features."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=N)
    columns = {
        "acc": target,
        "good": target + rng.normal(0, 0.3, N),
        "time_good": np.full(N, 0.25),
        "flops": target + rng.normal(0, 2, N),
        "holes": np.where(np.arange(N) % 5 == 0, -1e8, rng.normal(size=N)),
        "width": target + rng.normal(0, 1, N),
        "same": np.ones(N),
    }
    path = tmp_path / "bench.csv"
    lines = [",".join([*columns, "op"])]
    lines += [
        ",".join([*(repr(float(values[i])) for values in columns.values()), "ab"[i % 2]]) for i in range(N)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _select(table: Path, *arguments: str, samples: int = 20) -> Result:
    options = ["--table", str(table), "--target", "acc", "--set", "selection.draws=300"]
    samples_given = any(one.startswith(("--samples", "selection.samples")) for one in arguments)
    more = [] if samples_given else ["--samples", str(samples)]
    return CliRunner().invoke(main, ["select", *options, *more, *arguments])


COLUMNS = ("--scores", "good,flops,holes", "--features", "width", "--features-categorical", "op")
MODELS = ("--strategies", "bayesian_ridge,br_zc")


def test_the_result_is_one_object_with_what_is_promised(table: Path) -> None:
    """Names and types of the JSON object, and that the good score wins and the one with holes can't."""
    done = _select(table, *COLUMNS, *MODELS, "--set", "seed=3", "--json")
    assert done.exit_code == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    rows = {row["name"]: row for row in result["strategies"]}
    assert rows.keys() == {"good", "flops", "holes", "bayesian_ridge", "br_zc"}
    assert result["winner"] in {"good", "br_zc"}
    assert result["selected"] == result["winner"]
    assert result["winner"] in result["indistinguishable"]
    assert result["tau_ci"][0] < result["tau"] < result["tau_ci"][1]
    assert result["tau_bbc"] <= result["tau"] + 0.02
    assert result["noise_ceiling"] is None
    promised = {"tau", "ci", "tau_bbc", "seconds", "missing", "spearman", "sparse_tau", "precision_at_k"}
    assert promised <= rows["good"].keys()
    assert {"regret_at_k", "informativeness", "probability_best", "p_value", "family"} <= rows["good"].keys()
    assert (rows["good"]["family"], rows["br_zc"]["family"]) == ("zero-cost", "hybrid")
    assert (rows["good"]["seconds"], rows["flops"]["seconds"]) == (0.25, None)
    assert rows["holes"]["missing"] > 0.05
    assert "misses" in rows["holes"]["excluded"]


def test_the_selection_is_a_run_with_numbers_table_and_figure(table: Path) -> None:
    """Options as params, the choice and every strategy as metrics, the decision as tags and text."""
    result = json.loads(_select(table, *COLUMNS, *MODELS, "--json").stdout)
    client = mlflow.MlflowClient()
    run = client.get_run(result["run_id"])
    assert (run.info.status, run.data.tags["nas.role"]) == ("FINISHED", "selection")
    assert run.info.run_name == "select-bench"
    assert run.data.params["table.scores"] == "good,flops,holes"
    assert run.data.metrics["tau"] == pytest.approx(result["tau"])
    assert run.data.metrics["good/seconds"] == 0.25
    assert run.data.metrics["flops/ci_low"] == pytest.approx(
        next(row["ci"][0] for row in result["strategies"] if row["name"] == "flops")
    )
    assert run.data.tags["nas.selected"] == result["selected"]
    assert result["reason"] in run.data.tags["mlflow.note.content"]
    artifacts = {item.path for item in client.list_artifacts(result["run_id"])}
    assert {"selection.png", "strategies.json"} <= artifacts


def test_words_say_what_was_decided(table: Path) -> None:
    """The table, the probabilities, the noise ceiling, who is not eligible and why, the decision."""
    done = _select(table, *COLUMNS, *MODELS)
    assert done.exit_code == 0, done.stderr
    assert "Estimation strategies on 20 architectures" in done.stdout
    assert "Probability of being best: " in done.stdout
    assert "Noise ceiling: unknown: no architecture was trained twice" in done.stdout
    assert "Not eligible: holes misses" in done.stdout
    assert "Selected: " in done.stdout


def test_too_little_evidence_selects_nothing(table: Path) -> None:
    """The refusal is null in JSON and a sentence with a second best in words."""
    arguments = ("--scores", "holes,flops", "--strategies", "gp", "--where", "op=a")
    result = json.loads(_select(table, *arguments, "--json", samples=12).stdout)
    assert result["selected"] is None
    assert result["reason"].startswith("not enough evidence, train instead: ")
    assert result["fallback"] == ["flops"]
    assert "Or search with the union of flops." in _select(table, *arguments, samples=12).stdout


def test_a_second_training_gives_the_noise_ceiling(table: Path) -> None:
    """The same column again is a ceiling of 1."""
    arguments = ("--scores", "good", "--set", "table.target_again=acc", "--strategies", "gp", "--json")
    assert json.loads(_select(table, *arguments).stdout)["noise_ceiling"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "map"], "has no column 'map'"),
        (["--target", "same"], "has missing values or is constant"),
        (["--samples", "7"], "--samples '7': Input should be greater than or equal to 8"),
        (["--samples", "31"], "--samples 31 exceeds the 30 rows"),
        (["--scores", "op"], "holds 'a' in row 1, which is not a number"),
        (["--target", ""], "give --target COLUMN"),
        (["--table", ""], "give either --study NAME, whose samples are trained, or --table FILE.csv"),
        (["--study", "s"], "give either --study NAME"),
        (["--strategies", "magic"], "There is no estimation strategy 'magic': choose one of params"),
    ],
)
def test_mistakes_are_one_sentence(table: Path, arguments: list[str], message: str) -> None:
    """Exit code 2, the value, the bound and the remedy."""
    done = _select(table, "--scores", "good", *arguments)
    assert done.exit_code == 2, done.stdout
    assert message in done.stderr


def test_nothing_to_judge_is_refused(table: Path) -> None:
    """A table and a target alone say nothing."""
    done = _select(table)
    assert (done.exit_code, "give --scores A,B,... to evaluate" in done.stderr) == (2, True)


def test_a_run_that_fails_says_so(table: Path) -> None:
    """A target that ranks nothing ends the run as failed, not as running."""
    assert _select(table, "--scores", "good", "--target", "same").exit_code == 2
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("mlflow-nas")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
