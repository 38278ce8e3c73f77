"""The board's outputs against the host's, on real images."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlflow_nas.board import FakeBoard
from mlflow_nas.data import load_dataset
from mlflow_nas.errors import CandidateError
from mlflow_nas.search import Workbench
from mlflow_nas.search.agreement import check_board_outputs, check_int8_accuracy
from mlflow_nas.search.artefact import make_artefact
from mlflow_nas.space import fastestdet_head
from mlflow_nas.train import Recipe


class _WrongBoard(FakeBoard):
    """A board whose kernels compute something else."""

    def infer(self, model: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The right outputs, a tenth of them added to the last channel."""
        outputs = super().infer(model, images).copy()
        outputs[:, -1] *= 1.5
        outputs[:, -1] += 0.1
        return outputs


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """A small study on generated scenes."""
    return Workbench(
        space=fastestdet_head(),
        train=load_dataset("synthetic:train=8,val=4,size=96", "train", ("person",)),
        val=load_dataset("synthetic:train=8,val=4,size=96", "val", ("person",)),
        board=FakeBoard(tmp_path / "fake"),
        folder=tmp_path,
        epochs=1,
        batch_size=4,
        seed=0,
        recipe=Recipe(),
    )


def test_another_computation_is_the_candidates_fault(bench: Workbench, tmp_path: Path) -> None:
    """The right board agrees to the bit; a wrong one is told apart from what int8 itself changes."""
    architecture = {"kernel_size": 3, "groups": 4, "channels": 24, "img_width": 220}
    artefact = make_artefact(bench.build(architecture), architecture, bench=bench, folder=tmp_path)
    images = bench.real_images(architecture, 2)
    assert check_board_outputs(bench.board, artefact, images) == 0
    with pytest.raises(
        CandidateError, match=r"On fake the outputs .* channel 4 by .*while int8 may change it by"
    ):
        check_board_outputs(_WrongBoard(tmp_path / "wrong"), artefact, images)


def test_quantization_may_cost_so_much_and_no_more() -> None:
    """At the limit it passes, and where int8 is better; above it the sentence has figures and limit."""
    check_int8_accuracy(fp32=0.5, int8=0.375, max_drop=0.125)
    check_int8_accuracy(fp32=0.5, int8=0.6, max_drop=0.0)
    with pytest.raises(CandidateError, match=r"costs 0\.030 mAP: 0\.470 instead of 0\.500.*while 0\.025 is"):
        check_int8_accuracy(fp32=0.5, int8=0.47, max_drop=0.025)
