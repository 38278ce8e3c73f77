"""The throughput of analytic strategies, in work of one core so that a busy machine changes nothing."""

from pathlib import Path

import pytest
from estimator_throughput import ASKED, measure, scratch_bench

from mlflow_nas.estimate import Strategy
from mlflow_nas.search import probes
from mlflow_nas.search.candidates import draw_distinct
from mlflow_nas.search.probes import make_probes
from mlflow_nas.space import fastestdet_head, narrow

ANALYTIC = [row for row in ASKED if row.cost_class == "C0"]
PER_CORE_MINUTE = 1_000
"""2,000 candidates a minute on two cores."""
TRIES = 3
"""The best of them counts: what else a machine does can only make one slower."""


@pytest.mark.parametrize("strategy", ANALYTIC, ids=lambda row: row.name)
def test_two_thousand_candidates_a_minute_are_scored_on_two_cores(strategy: Strategy, tmp_path: Path) -> None:
    """On two networks at 26 widths each, as densely as 2,000 of the space's 2,080 architectures lie."""
    space = narrow(fastestdet_head(), ("channels=48", "groups=2"))
    architectures = list(draw_distinct(space, without=(), seed=0))
    assert len(architectures) == 52
    bench = scratch_bench(space, tmp_path)
    rates = []
    while len(rates) < TRIES and max(rates, default=0) <= PER_CORE_MINUTE:
        rates.append(measure(bench, strategy, architectures).core)
    assert max(rates) > PER_CORE_MINUTE, rates


def test_networks_that_differ_in_the_inputs_width_are_built_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that the width changes is built for each."""
    built: list[object] = []
    real = probes.build_detector

    def count(*arguments: object, **options: object) -> object:
        built.append(arguments)
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(probes, "build_detector", count)
    space = narrow(fastestdet_head(), ("channels=48", "groups=2", "kernel_size=3"))
    found = make_probes(scratch_bench(space, tmp_path), list(draw_distinct(space, without=(), seed=0)), ())
    networks = {id(probe.build(0)) for probe in found}
    assert (len(found), len(networks), len(built)) == (26, 1, 1)
    assert found[0].build(1) is not found[0].build(0)
