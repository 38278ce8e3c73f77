"""Draws the pictures of the documentation: a study's page, MLflow's pages in a Chromium, a selection.

    MLFLOW_TRACKING_URI=sqlite:///mlflow.db python tools/make_pictures.py pf
    python tools/make_pictures.py

The study is one of this machine's work folder, whose runs are in MLFLOW_TRACKING_URI; without one only the
selection is drawn, on the public table of ../shared.
"""

import base64
import io
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from mlflow_nas import api
from mlflow_nas.estimate import StrategySelector, read_table, select_from_table
from mlflow_nas.report import selection_png
from mlflow_nas.tracking import connect, default_uri, find_experiment, view_link

PROJECT = Path(__file__).resolve().parents[1]
PICTURES = PROJECT / "docs/pictures"
TABLE = PROJECT.parent / "shared/data/nasbench/zc_nasbench201.csv.gz"
SCORES = ("flops", "params", "synflow", "nwot", "grad_norm", "snip", "fisher", "grasp", "jacov", "l2_norm")
SAMPLES = 40
PORT, WIDTH_PX, UI_WIDTH_PX = 5731, 1240, 1500
PATIENCE_S, DRAWING_S = 120, 25


def draw_selection(path: Path, *, draws: int = 2000) -> Path:
    """Strategies compared on 40 cells of NAS-Bench-201 (CIFAR-100).

    Args:
        path: of the PNG.
        draws: of the bootstrap.
    """
    table = read_table(
        TABLE, target="val_accuracy", scores=SCORES, categorical=["arch"], where=["dataset=cifar100"]
    )
    selector = StrategySelector(draws=draws, seed=0)
    found = select_from_table(table, selector, samples=SAMPLES, seed=0, sequential=False)
    return selection_png(found.as_json(), path)


@contextmanager
def _browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "no-proxy-server"):
        options.add_argument(f"--{argument}")
    driver = webdriver.ChromeService(shutil.which("chromedriver"))
    found = webdriver.Chrome(options=options, service=driver)
    try:
        yield found
    finally:
        found.quit()


@contextmanager
def _server() -> Iterator[str]:
    """MLflow's UI over the store."""
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    command = [mlflow, "server", "--backend-store-uri", default_uri(), "--workers", "1", "--port", str(PORT)]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait(f"http://127.0.0.1:{PORT}/health")
            yield f"http://127.0.0.1:{PORT}"
        finally:
            process.terminate()


def _wait(url: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url):  # noqa: S310 - our own server
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def _open(browser: webdriver.Chrome, address: str, *, width_px: int, height_px: int) -> None:
    """A page in its light colours."""
    features = [{"name": "prefers-color-scheme", "value": "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)


def _shoot(browser: webdriver.Chrome, selector: str, name: str, *, most_px: int = 2000) -> None:
    """The part of the page from an element on, to the start of the next section."""
    script = """
        if (arguments[0] === 'main') return [0, 1e6];
        const start = document.querySelector(arguments[0]);
        let end = start; while (end.nextElementSibling && end.nextElementSibling.tagName !== 'H2')
          end = end.nextElementSibling;
        return [start.getBoundingClientRect().top + scrollY, end.getBoundingClientRect().bottom + scrollY];
    """
    top, bottom = browser.execute_script(script, selector)
    clip = {"x": 0, "y": top, "width": WIDTH_PX, "height": min(bottom - top + 12, most_px), "scale": 1}
    drawn = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    _save(drawn["data"], name)


def _shoot_ui(browser: webdriver.Chrome, address: str, name: str, *, height_px: int) -> None:
    """A page of MLflow without the panel of its assistant."""
    _open(browser, address, width_px=UI_WIDTH_PX, height_px=height_px)
    time.sleep(DRAWING_S)  # the page loads its parts one after the other
    buttons = browser.find_elements(By.XPATH, "//*[text()='MLflow Assistant']/following::button")
    if buttons:
        buttons[2].click()
        time.sleep(3)
    _save(browser.execute_cdp_cmd("Page.captureScreenshot", {})["data"], name)


def _save(data: str, name: str) -> None:
    """As a PNG of 256 colours."""
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        image.convert("RGB").quantize(256).save(PICTURES / name, optimize=True)


def draw_study(study: str) -> None:
    """The page's first screen, its images and modules; MLflow's charts, the study's run, its champion."""
    page = api.report(study=study).pages[0]
    client = connect(default_uri())
    experiment = str(find_experiment(client, "mlflow-nas"))
    with _browser() as browser:
        _open(browser, page.as_uri(), width_px=WIDTH_PX, height_px=900)
        _shoot(browser, "main", "report-first.png", most_px=900)
        _shoot(browser, "#images", "report-images.png", most_px=1100)
        _shoot(browser, "#layers", "report-layers.png")
        with _server() as server:
            for name, link, height_px in (
                ("ui-charts.png", view_link(experiment, study), 1150),
                ("ui-study.png", _run_link(client, experiment, study), 900),
                ("ui-version.png", _champion_link(client, study), 620),
            ):
                _shoot_ui(browser, f"{server}/{link}", name, height_px=height_px)


def _run_link(client: MlflowClient, experiment: str, study: str) -> str:
    wanted = f"tags.`nas.study` = '{study}' AND tags.`nas.role` = 'study'"
    (run,) = client.search_runs([experiment], wanted)
    return f"#/experiments/{experiment}/runs/{run.info.run_id}?workflowType=machine_learning"


def _champion_link(client: MlflowClient, study: str) -> str:
    (version, *_) = client.search_model_versions(f"tags.`nas.study` = '{study}'")
    champion = client.get_model_version_by_alias(version.name, "champion")
    return f"#/models/{champion.name}/versions/{champion.version}?workflowType=machine_learning"


if __name__ == "__main__":
    draw_selection(PICTURES / "selection.png")
    for named in sys.argv[1:]:
        draw_study(named)
