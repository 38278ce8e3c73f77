"""How long a training is where nobody sets it."""

import pytest

from mlflow_nas.trial.schedule import default_epochs, is_short


@pytest.mark.parametrize(("images", "epochs"), [(120, 14), (477, 4), (800, 3), (64_000, 3), (3, 200)])
def test_unset_epochs_are_two_hundred_steps(images: int, epochs: int) -> None:
    """Of batches of 8, and three passes at least."""
    assert default_epochs(images, 8) == epochs


def test_a_training_is_short_up_to_four_hundred_steps() -> None:
    """Both sides of the bound."""
    assert is_short(50, 64, 8)
    assert not is_short(51, 64, 8)
