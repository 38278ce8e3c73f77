"""`compare`: two detectors on the same frames."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlflow_nas import api
from mlflow_nas.api.video import frames_per_s, read_video, write_mp4
from mlflow_nas.errors import ConfigError
from mlflow_nas.export import export_onnx
from mlflow_nas.report import FramePanel, draw_frame, write_gif
from mlflow_nas.space import build_detector

SMALL = {"kernel_size": 3, "groups": 1, "channels": 24, "img_width": 220}


@pytest.fixture(scope="module")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two untrained detectors of different weights, as ONNX files."""
    folder = tmp_path_factory.mktemp("detectors")
    return [
        str(
            export_onnx(
                build_detector(SMALL, num_classes=1, seed=seed).eval(),
                folder / f"{seed}.onnx",
                img_size=(64, 64),
                metadata={"mlflow_nas.classes": '["person"]'},
            )
        )
        for seed in (0, 1)
    ]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of three images and a text."""
    folder = tmp_path / "images"
    folder.mkdir()
    for place in range(3):
        shape = (60 + 40 * place, 100, 3)
        pixels = np.random.default_rng(place).integers(0, 255, shape, np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    return folder


def test_a_clip_has_a_frame_per_image(detectors: list[str], images: Path, tmp_path: Path) -> None:
    """Both detectors side by side, all frames of the first one's size; times are those of this machine."""
    out = tmp_path / "new" / "clip.gif"
    found = api.compare(images=images, models=detectors, out=out, threshold=0.0)
    assert (found.frames, found.out) == (3, out)
    assert found.median_ms.keys() == set(detectors)
    assert min(found.median_ms.values()) > 0
    assert min(found.detections.values()) > 0
    with Image.open(out) as clip:
        assert (clip.n_frames, clip.info["duration"]) == (3, 500)  # type: ignore[attr-defined]
        assert clip.size == (966, 322)


def test_the_number_of_frames_is_limited(detectors: list[str], images: Path, tmp_path: Path) -> None:
    """The first ones are shown."""
    out = tmp_path / "clip.gif"
    assert api.compare(images=images, models=detectors, out=out, max_frames=2).frames == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": None}, "name one of --images and --video"),
        ({"video": "a.mp4"}, "name one of --images and --video"),
        ({"models": "champion"}, "--models names 1 detectors, two are compared"),
        ({"out": "clip.avi"}, r"--out clip.avi has no known format: let it end in .gif or .mp4"),
        ({"images": "nowhere"}, "--images .*nowhere holds no image: give a folder of JPEG or PNG files"),
    ],
)
def test_what_can_not_be_compared_is_refused(
    options: dict[str, Any], message: str, detectors: list[str], images: Path, tmp_path: Path
) -> None:
    """Each sentence has the remedy."""
    given = {"images": images, "models": detectors, "out": tmp_path / "clip.gif", **options}
    with pytest.raises(ConfigError, match=message):
        api.compare(**{name: value for name, value in given.items() if value is not None})


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video of 6 frames at 12 frames a second, each of one grey."""
    path = tmp_path / "door.mp4"
    frames = (np.full((120, 160, 3), 40 * place, np.uint8) for place in range(6))
    assert write_mp4(frames, path, rate=12.0) == 6
    return path


def test_a_video_gives_a_video_of_its_rate(detectors: list[str], video: Path, tmp_path: Path) -> None:
    """Frame by frame, about as bright as they were, as many as are asked for."""
    out = tmp_path / "clip.mp4"
    found = api.compare(video=video, models=detectors, out=out, max_frames=4, threshold=0.99)
    shown = list(read_video(out, most=100))
    assert (found.frames, len(shown), frames_per_s(out)) == (4, 4, 12.0)
    assert [frame.shape for frame in shown] == [(394, 966, 3)] * 4
    greys = [float(frame[100:200, 100:200].mean()) for frame in shown]
    assert np.allclose(greys, [0, 40, 80, 120], atol=8)


def test_a_videos_colours_are_kept(tmp_path: Path) -> None:
    """OpenCV's frames are BGR, ours RGB."""
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    write_mp4([red], tmp_path / "red.mp4", rate=5.0)
    (shown,) = read_video(tmp_path / "red.mp4", most=5)
    assert np.allclose(shown.mean(axis=(0, 1)), [200, 0, 0], atol=8)


def test_a_video_gives_a_gif_and_images_a_video(
    detectors: list[str], video: Path, images: Path, tmp_path: Path
) -> None:
    """The format is that of --out."""
    gif, mp4 = tmp_path / "clip.gif", tmp_path / "clip.mp4"
    assert api.compare(video=video, models=detectors, out=gif).frames == 6
    assert api.compare(images=images, models=detectors, out=mp4, frame_s=0.25).frames == 3
    with Image.open(gif) as clip:
        assert (clip.n_frames, clip.info["duration"]) == (6, 80)  # type: ignore[attr-defined]
    assert (len(list(read_video(mp4, most=9))), frames_per_s(mp4)) == (3, 4.0)


def test_a_file_that_is_no_video_is_refused(
    detectors: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By its name, with the remedy, and without the lines of OpenCV's own log."""
    text = tmp_path / "notes.mp4"
    text.write_text("no video", encoding="utf-8")
    for path in (text, tmp_path / "missing.mp4"):
        with pytest.raises(ConfigError, match=rf"{path.name} can't be read as a video: give an .mp4 or .avi"):
            api.compare(video=path, models=detectors, out=tmp_path / "clip.mp4")
    assert capfd.readouterr().err == ""


def test_a_place_that_takes_no_video_is_refused(tmp_path: Path) -> None:
    """Such as a folder that is missing; OpenCV does not say why."""
    with pytest.raises(ConfigError, match=r"OpenCV can't write .*clip.mp4: give an --out"):
        write_mp4([np.zeros((64, 64, 3), np.uint8)], tmp_path / "none" / "clip.mp4", rate=5.0)


def test_videos_need_opencv(monkeypatch: pytest.MonkeyPatch, images: Path, tmp_path: Path) -> None:
    """Where it is missing the command says so before it opens anything."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        ConfigError, match="OpenCV, which is not installed: pip install opencv-python-headless"
    ):
        api.compare(images=images, out=tmp_path / "clip.mp4")


def test_a_model_without_a_reference_names_the_remedy(
    tracking_uri: str,  # noqa: ARG001 - an empty store
    images: Path,
    tmp_path: Path,
) -> None:
    """Before the first search nothing is registered."""
    with pytest.raises(ConfigError, match=r"'person-detector' has no reference: .* run a search first"):
        api.compare(images=images, out=tmp_path / "clip.gif")


def test_boxes_are_drawn_on_both_panels(tmp_path: Path) -> None:
    """Each in its own panel, scaled with the frame; the captions stand below."""
    pixels = np.full((100, 240, 3), 128, np.uint8)
    box, nothing = np.array([[60, 25, 120, 75]], np.float32), np.zeros((0, 4), np.float32)
    panels = [
        FramePanel("left", box, np.array([0.9], np.float32), [0]),
        FramePanel("right", nothing, np.zeros(0, np.float32), []),
    ]
    frame = draw_frame(pixels, panels, classes=("person",))
    shown = np.asarray(frame)
    assert shown.shape[:2] == (234, 966)
    assert (shown[100, 121] != 128).any(), "the box's left side"
    assert (shown[:200, 486:] == 128).all(), "no box on the right"
    assert write_gif([frame, frame], tmp_path / "clip.gif", frame_s=0.1) == 2
