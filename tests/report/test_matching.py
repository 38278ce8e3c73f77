"""Detections matched with boxes, and the images that are shown."""

from pathlib import Path

import numpy as np
import pytest
from report_samples import match

from mlflow_nas.report import Matches, match_detections
from mlflow_nas.report.compared_images import choose_images, compare_images

PERSON, DOG = 0.0, 1.0


def _record(folder: Path, found: list[tuple[float, ...]], truth: list[tuple[float, ...]]) -> Path:
    """Rows of image, class, x, y, width, height, score or ignored."""
    path = folder / "detections.npz"
    arrays = {
        "found": np.array(found, np.float32).reshape(-1, 7),
        "truth": np.array(truth, np.float32).reshape(-1, 7),
    }
    np.savez_compressed(path, images=2, **arrays)
    return path


def test_a_detection_hits_one_box_of_its_class_at_half_overlap(tmp_path: Path) -> None:
    """The second one on the same box, one of another class, and one beside it are false."""
    truth = [(0, PERSON, 0, 0, 10, 10, 0), (1, PERSON, 50, 50, 10, 10, 0)]
    found = [
        (0, PERSON, 0, 0, 10, 9, 0.9),
        (0, PERSON, 1, 0, 10, 10, 0.9),
        (0, DOG, 0, 0, 10, 10, 0.9),
        (1, PERSON, 56, 56, 10, 10, 0.9),
    ]
    matches = match_detections(_record(tmp_path, found, truth), images=2)
    first, second = matches.images
    assert (len(first.hits), len(first.false), len(first.found), len(first.missed)) == (1, 2, 1, 0)
    assert (len(second.hits), len(second.false), len(second.missed)) == (0, 1, 1)
    assert (matches.precision, matches.recall) == (0.25, 0.5)


def test_an_ignored_box_is_neither_found_nor_missed(tmp_path: Path) -> None:
    """A detection on it is no false one."""
    truth = [(0, PERSON, 0, 0, 10, 10, 1), (0, PERSON, 30, 30, 10, 10, 0)]
    found = [(0, PERSON, 0, 0, 10, 10, 0.8), (0, PERSON, 30, 30, 10, 10, 0.9)]
    (only,) = match_detections(_record(tmp_path, found, truth), images=1).images
    assert (len(only.hits), len(only.false), len(only.missed), len(only.ignored)) == (1, 0, 0, 1)


def test_the_threshold_has_the_best_f1(tmp_path: Path) -> None:
    """Above the false detections' scores and below those of the hits."""
    truth = [(0, PERSON, 0, 0, 10, 10, 0), (1, PERSON, 0, 0, 10, 10, 0)]
    found = [(image, PERSON, 0, 0, 10, 10, 0.62) for image in (0, 1)]
    found += [(0, PERSON, 50 + 20 * place, 50, 10, 10, 0.4) for place in range(5)]
    matches = match_detections(_record(tmp_path, found, truth), images=2)
    assert 0.4 < matches.threshold <= 0.62
    assert (matches.precision, matches.recall) == (1.0, 1.0)


def test_augmented_copies_are_not_matched(tmp_path: Path) -> None:
    """They follow the images."""
    truth = [(0, PERSON, 0, 0, 10, 10, 0), (1, PERSON, 0, 0, 10, 10, 0)]
    matches = match_detections(_record(tmp_path, [], truth), images=1)
    assert (len(matches.images), matches.recall) == (1, 0.0)


def _matches(*images: tuple[int, int, int]) -> Matches:
    return Matches(0.3, 1, 1, tuple(match(hits=h, false=f, missed=m) for h, f, m in images))


def test_each_image_shows_something_else() -> None:
    """Found by both, lost, gained, missed by both, false ones of each; none twice."""
    reference = _matches((5, 0, 0), (3, 0, 0), (0, 0, 2), (0, 0, 4), (1, 0, 0), (1, 3, 0), (0, 0, 0))
    champion = _matches((5, 0, 0), (0, 0, 3), (2, 0, 0), (0, 0, 4), (1, 2, 0), (1, 0, 0), (0, 0, 0))
    chosen = dict(choose_images(reference, champion))
    assert list(chosen) == [0, 1, 2, 3, 4, 5]
    assert chosen[1] == "lost: found by the reference, missed by the champion (3)"
    assert chosen[2] == "gained: missed by the reference, found by the champion (2)"


def test_a_reason_that_no_image_shows_is_left_out() -> None:
    """Two detectors that find everything have one image."""
    same = _matches((2, 0, 0), (1, 0, 0))
    assert choose_images(same, same) == [(0, "the most objects that both find (2)")]


def test_images_are_scaled_with_their_boxes() -> None:
    """The longer side is 480 pixels at most; small images stay as they are."""
    same = _matches((1, 0, 0))
    for side, wanted in ((960, (480, 240)), (200, (200, 100))):
        pixels = np.zeros((side // 2, side, 3), np.uint8)
        (image,) = compare_images(same, same, read=lambda _, p=pixels: ("one", p), classes=("person",))
        assert (image.width, image.height) == wanted
        hit = next(box for box in image.champion if box.kind == "hit")
        assert hit.x == pytest.approx(10 * image.width / side)
        assert hit.score == pytest.approx(0.9)
