"""The contract of every board, whatever its transport."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlflow_nas.board import DeployedModels, DeviceBoard, profile_files
from mlflow_nas.errors import CandidateError, ConfigError

Model = Callable[[int], Path]


class BoardContract:
    """Subclass it with a `board` fixture."""

    def test_measures_alternately_with_the_reference(self, board: DeviceBoard, make_model: Model) -> None:
        """The ratio is about that of the two medians, and the quantiles are ordered."""
        found = board.measure(make_model(6), reference=make_model(5))
        assert found.reference_p50_ms is not None
        assert found.ratio == pytest.approx(found.p50_ms / found.reference_p50_ms, rel=0.5)
        assert 0 < found.min_ms <= found.p50_ms <= found.p90_ms <= found.p99_ms
        assert found.board == board.name
        assert bool(found.unstable_cause) == found.unstable
        assert "onnxruntime" in found.facts

    def test_without_a_reference_there_is_no_ratio(self, board: DeviceBoard, make_model: Model) -> None:
        """A measurement alone has neither ratio nor reference."""
        found = board.measure(make_model(5))
        assert (found.ratio, found.reference_p50_ms) == (None, None)

    def test_protocol_and_identity(self, board: DeviceBoard) -> None:
        """The protocol is 12 hex digits; the identity has it with the device's name and hardware."""
        assert re.fullmatch("[0-9a-f]{12}", board.protocol)
        found = board.identity()
        assert (found["device"], found["protocol"]) == (board.name, board.protocol)
        assert "onnxruntime" in found["hardware"]

    def test_refused_model_is_a_candidate_error(self, board: DeviceBoard, tmp_path: Path) -> None:
        """A file that is no model raises CandidateError, not BoardError."""
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(b"no model")
        with pytest.raises(CandidateError, match="refuses the model"):
            board.measure(broken)

    def test_profiles_each_node(self, board: DeviceBoard, make_model: Model) -> None:
        """The files' convolutions have a time, and the facts have the versions."""
        profiles, facts = profile_files(board, {"fp32": make_model(5), "int8": make_model(6)}, {}, {})
        assert all("Conv" in {node.kind for node in found.nodes} for found in profiles.values())
        assert "onnxruntime" in facts

    def test_infers_each_image(self, board: DeviceBoard, make_model: Model) -> None:
        """N images give n outputs; images of another size are a ConfigError."""
        model = make_model(5)
        assert board.infer(model, np.ones((2, 3, 32, 48), np.float32)).shape == (2, 5, 2, 3)
        with pytest.raises(ConfigError, match="the model takes"):
            board.infer(model, np.ones((1, 3, 16, 16), np.float32))

    def test_life_of_a_deployment(self, board: DeviceBoard, make_model: Model) -> None:
        """Install twice, roll back, run, delete, list."""
        models = DeployedModels(board)
        models.install("person", make_model(5), {"version": "1"})
        assert models.install("person", make_model(6), {"version": "2"})["previous"]["version"] == "1"
        assert models.rollback("person")["version"] == "1"
        assert models.infer("person", np.ones((1, 3, 32, 48), np.float32)).shape[1] == 5
        assert models.delete("person")
        assert models.list() == []

    def test_names_stay_in_the_store(self, board: DeviceBoard) -> None:
        """A name that leads out of the store is refused."""
        with pytest.raises(ConfigError, match="is refused: use letters"):
            DeployedModels(board).find("../outside")
