"""What samplers propose in narrowed spaces, of numbers and of words."""

import pytest
from studies import open_loop

from mlflow_nas.space import load_space, narrow


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_sampler_stays_within_the_choices(sampler: str) -> None:
    """The baseline outside of them is the first trial all the same; nothing comes twice."""
    space = narrow(load_space("multi-branch"), ["branch1=none", "branch2=k3d1", "k3d2", "channels=24..48:8"])
    loop = open_loop(space=space, sampler=sampler)
    loop.run(25)
    proposed = [one.architecture for one in loop.claims.store.results()]
    assert proposed[0] == space.baseline
    assert all(space.offers(architecture) for architecture in proposed[1:])
    assert len({space.key(architecture) for architecture in proposed}) == 25
