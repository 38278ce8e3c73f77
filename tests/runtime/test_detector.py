"""A detector's file in ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mlflow_nas.errors import ConfigError
from mlflow_nas.runtime import OnnxDetector


def test_a_batch_gives_what_its_images_give(small_fp32: Path, small_images: NDArray[np.float32]) -> None:
    """Images are run one by one, in their order; one class has no class channels."""
    detector = OnnxDetector(small_fp32, threads=2)
    together = detector(small_images)
    assert together.shape == (4, 5, 16, 24)
    assert np.array_equal(together[2], detector(small_images[2:3])[0])
    assert (detector.img_size, detector.layout) == ((32, 48), ("cells", 1))
    with pytest.raises(ConfigError, match="takes n >= 1 images of 3 x 32 x 48, got 0 x 3 x 32 x 48"):
        detector(small_images[:0])


@pytest.mark.parametrize(
    ("taken", "given"),
    [
        ([2, 3, 32, 48], [2, 5, 2, 3]),
        ([1, 1, 32, 48], [1, 5, 2, 3]),
        ([1, 3, 32], [1, 5, 2, 3]),
        ([1, 3, 32, 48], [1, 4, 2, 3]),
        ([1, 3, 32, 48], [5, 2]),
    ],
)
def test_a_file_that_is_no_detector_is_refused(
    taken: list[int | str], given: list[int], tmp_path: Path
) -> None:
    """Two images, a gray one, a missing axis or too few channels: the sentence says what the file has."""
    graph = helper.make_graph(
        [
            helper.make_node(
                "Constant", [], ["out"], value=numpy_helper.from_array(np.zeros(given, np.float32))
            )
        ],
        "main",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, taken)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, given)],
    )
    path = tmp_path / "other.onnx"
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]), path)
    with pytest.raises(
        ConfigError, match=r"other\.onnx is no detector or classifier: it takes \[[12], .* and gives .*, not "
    ) as caught:
        OnnxDetector(path)
    assert f"takes {taken} and gives {given}" in str(caught.value)
