"""Draws the pictures of README and tutorial: a study's page and MLflow's charts, in a headless Chromium.

    MLFLOW_TRACKING_URI=sqlite:///mlflow.db python tools/make_pictures.py pf

The study is one of this machine's work folder, whose runs are in MLFLOW_TRACKING_URI.
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

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from mlflow_nas import api
from mlflow_nas.tracking import connect, default_uri, find_experiment, view_link

PICTURES = Path(__file__).resolve().parents[1] / "docs/pictures"
PORT, WIDTH_PX = 5731, 1240
PATIENCE_S = 120


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
    mlflow = Path(sys.executable).with_name("mlflow")
    command = [
        str(mlflow),
        "server",
        "--backend-store-uri",
        default_uri(),
        "--workers",
        "1",
        "--port",
        str(PORT),
    ]
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


def _open(browser: webdriver.Chrome, address: str) -> None:
    """A page in its light colours."""
    features = [{"name": "prefers-color-scheme", "value": "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": WIDTH_PX, "height": 900, "deviceScaleFactor": 1, "mobile": False}
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


def _save(data: str, name: str) -> None:
    """As a PNG of 256 colours."""
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        image.convert("RGB").quantize(256).save(PICTURES / name, optimize=True)


def make_pictures(study: str) -> None:
    """The page's first screen, its front, images and modules; MLflow's charts."""
    page = api.report(study=study).pages[0]
    link = view_link(str(find_experiment(connect(default_uri()), "mlflow-nas")), study)
    with _browser() as browser:
        _open(browser, page.as_uri())
        _shoot(browser, "main", "report-first.png", most_px=900)
        _shoot(browser, "#images", "report-images.png", most_px=1100)
        _shoot(browser, "#layers", "report-layers.png")
        with _server() as server:
            size = {"width": 1500, "height": 1150, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(f"{server}/{link}")
            time.sleep(20)  # the page loads its charts one after the other
            panel = "//*[text()='MLflow Assistant']/following::button"
            browser.find_elements(By.XPATH, panel)[2].click()
            time.sleep(3)
            drawn = browser.execute_cdp_cmd("Page.captureScreenshot", {})
            _save(drawn["data"], "ui-charts.png")


if __name__ == "__main__":
    make_pictures(*sys.argv[1:])
