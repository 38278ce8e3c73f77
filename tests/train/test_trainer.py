"""Lightning's settings of a training."""

from pathlib import Path

import pytest
import torch
from small import CPU, EPOCHS, make_data, make_network, train

from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.errors import ConfigError
from mlflow_nas.train import Recipe, TrainerSettings

CALLBACK = """
from pathlib import Path
from pytorch_lightning import Callback

class Notes(Callback):
    def on_train_epoch_end(self, trainer, module):
        with (Path(__file__).parent / "notes.txt").open("a") as file:
            file.write(f"{trainer.current_epoch} {trainer.global_step}\\n")

class Broken(Callback):
    def __init__(self, path):
        pass

class Other:
    pass
"""


@pytest.fixture
def callbacks(tmp_path: Path) -> Path:
    """A user's file of callbacks."""
    path = tmp_path / "mine.py"
    path.write_text(CALLBACK)
    return path


def test_settings_come_from_dotted_names(tmp_path: Path) -> None:
    """On the command line and in a file; numbers of batches are told from shares by the point."""
    text = "training.trainer.precision=bf16-mixed training.trainer.limit_train_batches=4"
    found = load_config(SearchConfig, {"set": text}).training.trainer.settings()
    assert (found["precision"], found["limit_train_batches"]) == ("bf16-mixed", 4)
    file = tmp_path / "study.yaml"
    file.write_text("training:\n  trainer:\n    limit_val_batches: 0.5\n    devices: auto\n")
    found = load_config(SearchConfig, {}, file=file).training.trainer.settings()
    assert (found["limit_val_batches"], found["devices"]) == (0.5, "auto")
    assert TrainerSettings(**SearchConfig().training.trainer.settings()) == TrainerSettings()
    with pytest.raises(ConfigError, match=r"training\.trainer\.precision"):
        load_config(SearchConfig, {"set": "training.trainer.precision=half"})
    with pytest.raises(ConfigError, match=r"training\.trainer\.limit_train_batches"):
        load_config(SearchConfig, {"set": "training.trainer.limit_train_batches=1.5"})


def test_batches_are_accumulated_and_limited(callbacks: Path) -> None:
    """A user's callback sees the steps, and the schedule has as many."""
    name = f"{callbacks}:Notes"
    settings = TrainerSettings(accelerator="cpu", accumulate_grad_batches=2, callbacks=(name,))
    train(make_network(), trainer=settings)  # two batches an epoch
    assert (callbacks.parent / "notes.txt").read_text().split() == [str(one) for one in (0, 1, 1, 2, 2, 3)]
    assert [TrainerSettings(limit_train_batches=one).steps(10) for one in (1.0, 0.25, 4, 40)] == [
        10,
        2,
        4,
        10,
    ]
    assert TrainerSettings(accumulate_grad_batches=4).steps(10) == 3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mine.py:Absent", r"callbacks=.*mine\.py:Absent can't be made: AttributeError"),
        ("mine.py:Broken", r"can't be made: TypeError: .*missing 1 required positional argument: 'path'"),
        ("mine.py:Other", r"callbacks=.*mine\.py:Other is Other, no pytorch_lightning\.Callback: derive"),
        ("none.py:Notes", r"can't be made: FileNotFoundError: the file .*none\.py does not exist"),
        ("no.such.module:Notes", r"can't be made: ModuleNotFoundError: No module named 'no"),
    ],
)
def test_a_callback_that_cannot_be_made_is_named(callbacks: Path, name: str, sentence: str) -> None:
    """With the form that is expected."""
    given = str(callbacks.parent / name) if ".py:" in name else name
    with pytest.raises(ConfigError, match=sentence):
        TrainerSettings(callbacks=(given,)).load_callbacks()


def test_a_training_in_bfloat16_ends_near_that_in_single_precision() -> None:
    """The loss is computed in single precision; soft targets too."""
    results = []
    for precision in ("32-true", "bf16-mixed"):
        settings = TrainerSettings(accelerator="cpu", precision=precision)  # type: ignore[arg-type]  # one of them
        results.append(train(make_network(), make_data(), trainer=settings, recipe=Recipe()))
    plain, mixed = ([epoch["train_loss"] for epoch in result.history] for result in results)
    assert len(mixed) == EPOCHS
    assert mixed == pytest.approx(plain, rel=0.05)
    assert mixed != plain


def test_bf16_auto_needs_hardware_that_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    """AMX of x86 processors; without it single precision."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for has_amx, precision in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda has_amx=has_amx: has_amx)
        assert TrainerSettings(precision="bf16-auto").arguments()["precision"] == precision
    assert CPU.arguments()["accelerator"] == "cpu"
