"""docs/tutorial.md: every command, typed as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_space
from PIL import Image

from mlflow_nas.data import DetectionDataset, load_dataset
from mlflow_nas.space import build_detector, save_weights

PROJECT = Path(__file__).resolve().parents[1]
TUTORIAL = (PROJECT / "docs/tutorial.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", TUTORIAL, flags=re.DOTALL) for line in block.splitlines()
]
STUDY = re.search(r"```yaml\n(.*?)```", TUTORIAL, flags=re.DOTALL)

# The tutorial's study.yaml with a smaller space, fewer trials and shorter trainings.
SMALL = f"""
study: mine
data: yolo:my-data
classes: person
trials: 2
space: {tiny_space.NAME}
weights: given.pth
epochs: 1
finalists:
  count: 1
  epochs: 1
data.eval_augmentations: 2
quantization.max_drop: 1
registry.max_drop: 1
"""

pytestmark = [pytest.mark.slow, pytest.mark.services]


def _write_split(data: DetectionDataset, folder: Path, split: str) -> None:
    """One split of a YOLO folder."""
    for kind in ("images", "labels"):
        (folder / kind / split).mkdir(parents=True)
    for sample in data:
        height, width = sample.image.shape[:2]
        Image.fromarray(sample.image).save(folder / f"images/{split}/{sample.image_id}.jpg")
        rows = [
            f"0 {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} {(x2 - x1) / width} {(y2 - y1) / height}"
            for x1, y1, x2, y2 in sample.boxes.tolist()
        ]
        (folder / f"labels/{split}/{sample.image_id}.txt").write_text("\n".join(rows), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with images and study.yaml."""
    folder = tmp_path_factory.mktemp("tutorial")
    for split in ("train", "val"):
        _write_split(load_dataset("synthetic:train=48,val=16,size=128", split), folder / "my-data", split)
    (folder / "my-data/data.yaml").write_text(
        "names: [person]\ntrain: images/train\nval: images/val\n", encoding="utf-8"
    )
    network = build_detector(tiny_space.SPACE.baseline, num_classes=1, space=tiny_space.SPACE, seed=0)
    save_weights(network, folder / "given.pth")  # as given and the baseline are two versions
    (folder / "study.yaml").write_text(SMALL, encoding="utf-8")
    return folder


def test_the_tutorials_study_names_settings_that_exist() -> None:
    """Of the file that the test replaces by a smaller one."""
    import yaml

    from mlflow_nas.config import SearchConfig, load_config

    assert STUDY is not None
    plain = yaml.safe_load(STUDY[1])
    found = load_config(SearchConfig, {**plain, "data": "synthetic"})
    assert (found.search.trials, found.finalists.speedup, found.training.seed_epochs) == (12, 1.5, 30)


@pytest.mark.timeout(1800)
def test_every_command_of_the_tutorial_runs(folder: Path) -> None:
    """In their order, in one folder; each ends with status 0."""
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "tests")]),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_NAS_HOME": str(folder / "home"),
        "TORCH_HOME": str(folder / "torch"),
    }
    assert len(COMMANDS) > 8
    for command in COMMANDS:
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    for name in ("findings.html", "mine.html", "clip.gif"):
        assert (folder / name).stat().st_size > 0
