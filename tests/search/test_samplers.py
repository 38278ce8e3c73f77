"""Which architectures samplers propose, and which samplers there are."""

import random
import sys
from pathlib import Path

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from studies import OBJECTIVES, open_loop

from mlflow_nas.errors import ConfigError
from mlflow_nas.search.samplers import (
    ENTRY_POINTS,
    SAMPLERS,
    RegularizedEvolutionSampler,
    Sampling,
    make_sampler,
)
from mlflow_nas.space import fastestdet_head, load_space, narrow

SAMPLING = Sampling(fastestdet_head(), trials=20, seed=0)
OWN = "import optuna\n\ndef Mine(seed):\n    return optuna.samplers.RandomSampler(seed=seed)\n"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_stays_within_the_choices(sampler: str) -> None:
    """The baseline outside of them is the first trial all the same; nothing comes twice."""
    space = narrow(load_space("multi-branch"), ["branch1=none", "branch2=k3d1", "k3d2", "channels=24..48:8"])
    objectives = OBJECTIVES[1:] if sampler == "cmaes" else OBJECTIVES
    loop = open_loop(space=space, sampler=sampler, objectives=objectives)
    loop.run(15)
    proposed = [one.architecture for one in loop.claims.store.results()]
    assert proposed[0] == space.baseline
    assert all(space.offers(architecture) for architecture in proposed[1:])
    assert len({space.key(architecture) for architecture in proposed}) == 15


def test_a_grid_ends_with_every_architecture() -> None:
    """Each once, whoever asks for more."""
    space = narrow(fastestdet_head(), ["kernel_size=3,5", "groups=1,2", "channels=24,48", "img_width=320"])
    loop = open_loop(space=space, sampler="grid")
    loop.run(50)
    results = loop.claims.store.results()
    assert len({one.key for one in results}) == len(results) == 9  # the baseline has 96 channels


def test_what_a_sampler_cant_do_is_one_sentence() -> None:
    """It names the number, the bound and the remedy."""
    with pytest.raises(ConfigError, match=r"cmaes optimizes one objective, the study has 2: choose tpe"):
        make_sampler("cmaes", SAMPLING)
    with pytest.raises(ConfigError, match=r"grid lists all 72783360 architectures .* more than 1000000: "):
        make_sampler("grid", SAMPLING._replace(space=load_space("cell")))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tbe", OWN, "There is no sampler 'tbe': choose auto, grid, random, tpe"),
        ("nowhere.py:Mine", OWN, r"The file nowhere.py of the sampler does not exist"),
        ("{file}:Other", OWN, r"The sampler .*:Other is no class or function"),
        ("{file}:Mine", "def Mine():\n    pass\n", r"can't be made with seed=0: TypeError"),
        ("{file}:Mine", "def Mine(seed):\n    return seed\n", r"is a int: give a class or function"),
        ("{file}:Mine", "import sys\nsys.exit(3)\n", r"can't be run: SystemExit: 3"),
        ("no.such.module:Mine", OWN, "can't be imported: ModuleNotFoundError"),
    ],
)
def test_an_unknown_or_broken_sampler_is_one_sentence(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    """Whatever the user's file does."""
    file = tmp_path / "own_sampler.py"
    file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        make_sampler(name.format(file=file), SAMPLING)


def test_a_sampler_of_ones_own_comes_from_a_file_a_module_or_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three are the same sampler."""
    (tmp_path / "own_sampler.py").write_text(OWN)
    info = tmp_path / "own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nmine = own_sampler:Mine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in (f"{tmp_path}/own_sampler.py:Mine", "own_sampler:Mine", "mine"):
        assert type(make_sampler(name, SAMPLING)).__name__ == "RandomSampler"
    sys.modules.pop("own_sampler")


def test_evolution_mutates_the_best_of_the_latest() -> None:
    """After a random population each trial differs from one of the population in one parameter."""
    loop = open_loop(sampler="evolution")
    loop.run(30)
    rows = [tuple(one.architecture.values()) for one in loop.claims.store.results()]
    for number in range(10, 30):
        differences = [
            sum(a != b for a, b in zip(rows[number], other, strict=True)) for other in rows[:number]
        ]
        assert min(differences) == 1


def test_a_mutation_changes_one_parameter_within_the_choices() -> None:
    """Of a baseline outside of them, too; nothing changes where there is nothing to choose."""
    space = narrow(fastestdet_head(), ["kernel_size=3", "groups=1", "channels=24,48", "img_width=220"])
    rng = random.Random(0)
    for _ in range(20):
        mutated = space.mutate(space.baseline, rng)
        changed = [name for name, value in mutated.items() if value != space.baseline[name]]
        assert len(changed) == 1
        assert mutated[changed[0]] in space.parameters[changed[0]].values
    single = narrow(fastestdet_head(), ["kernel_size=5", "groups=1", "channels=96", "img_width=320"])
    assert single.mutate(single.baseline, rng) == single.baseline


class TestRegularizedEvolutionSampler(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    """Optuna's own tests of samplers."""

    @pytest.fixture
    def sampler(self) -> type[BaseSampler]:
        """Of the smallest population, so that the samples after one trial are mutations."""
        return lambda: RegularizedEvolutionSampler(population_size=1, tournament_size=1, seed=0)  # type: ignore[return-value]
