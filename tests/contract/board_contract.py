"""What every board does, whatever its transport."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlflow_nas.board import DeployedModels, DeviceBoard, profile_files
from mlflow_nas.errors import CandidateError, ConfigError

Model = Callable[[int], Path]


class BoardContract:
    """Subclass it with a `board` fixture."""

    def test_measures_in_turn_with_the_baseline(self, board: DeviceBoard, make_model: Model) -> None:
        """The ratio is about that of the two medians, and the quantiles are ordered."""
        found = board.measure(make_model(6), baseline=make_model(5))
        assert found.baseline_p50_ms is not None
        assert found.ratio == pytest.approx(found.p50_ms / found.baseline_p50_ms, rel=0.5)
        assert 0 < found.min_ms <= found.p50_ms <= found.p90_ms <= found.p99_ms
        assert found.board == board.name
        assert "onnxruntime" in found.facts

    def test_without_a_baseline_there_is_no_ratio(self, board: DeviceBoard, make_model: Model) -> None:
        """A measurement alone has neither ratio nor baseline."""
        found = board.measure(make_model(5))
        assert (found.ratio, found.baseline_p50_ms) == (None, None)

    def test_refused_model_is_the_candidates_fault(self, board: DeviceBoard, tmp_path: Path) -> None:
        """A file that is no model raises CandidateError, not BoardError."""
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"no model")
        with pytest.raises(CandidateError, match="refuses the model"):
            board.measure(broken)

    def test_profiles_each_node(self, board: DeviceBoard, make_model: Model) -> None:
        """The files' convolutions have a time, and the device says what it is."""
        profiles, facts = profile_files(board, {"fp32": make_model(5), "int8": make_model(6)}, {})
        assert all("Conv" in {node.kind for node in found.nodes} for found in profiles.values())
        assert "onnxruntime" in facts

    def test_infers_each_image(self, board: DeviceBoard, make_model: Model) -> None:
        """N images give n outputs; images of another size are the user's fault."""
        model = make_model(5)
        assert board.infer(model, np.ones((2, 3, 32, 48), np.float32)).shape == (2, 5, 2, 3)
        with pytest.raises(ConfigError, match="the model takes"):
            board.infer(model, np.ones((1, 3, 16, 16), np.float32))

    def test_store_keeps_the_version_before(self, board: DeviceBoard, make_model: Model) -> None:
        """Install twice, roll back, run, list, and delete twice."""
        models = DeployedModels(board)
        models.install("person", make_model(5), {"version": "1"})
        models.install("person", make_model(6), {"version": "2"})
        assert [found["version"] for found in models.list()] == ["2"]
        assert models.rollback("person")["version"] == "1"
        assert models.infer("person", np.ones((1, 3, 32, 48), np.float32)).shape[1] == 5
        assert [models.delete("person"), models.delete("person")] == [True, False]
        assert models.find("person") is None

    def test_refused_install_leaves_the_old_version(
        self, board: DeviceBoard, make_model: Model, tmp_path: Path
    ) -> None:
        """A file that can't run never becomes the active one."""
        models = DeployedModels(board)
        models.install("person", make_model(5), {"version": "1"})
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"no model")
        with pytest.raises(CandidateError):
            models.install("person", broken, {"version": "2"})
        active = models.find("person")
        assert active is not None
        assert (active.manifest["version"], active.whole) == ("1", True)

    def test_names_stay_in_the_store(self, board: DeviceBoard) -> None:
        """A name that leads out of the store is refused."""
        with pytest.raises(ConfigError, match="is refused: use letters"):
            DeployedModels(board).find("../outside")
