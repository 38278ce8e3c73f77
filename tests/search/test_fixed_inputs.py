"""What a continued study can't change."""

import re

import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.search.fixed_inputs import refuse_other_inputs

KNOWN = {"epochs": 1, "recipe": "Recipe(optimizer='adamw', rates=(0.1, 0.2), freeze='none')"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"epochs": 2}, "made with epochs 1, this call has 2: give the earlier value, or another --study."),
        ({"test": "t"}, "made with test None, this call has 't'"),
        (
            {"recipe": "Recipe(optimizer='adamw', rates=(0.1, 0.3), freeze='none', keeps=True)"},
            "made with recipe 'rates=(0.1, 0.2)', this call has 'rates=(0.1, 0.3), keeps=True'",
        ),
        ({"recipe": "none"}, "this call has 'none'"),
    ],
)
def test_the_first_difference_is_named(given: dict[str, object], sentence: str) -> None:
    """Both values; of a group of settings only those that differ."""
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        refuse_other_inputs("s", KNOWN, {**KNOWN, **given})


def test_equal_inputs_are_taken() -> None:
    """The study continues."""
    refuse_other_inputs("s", KNOWN, dict(KNOWN))
