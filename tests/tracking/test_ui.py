"""MLflow's own user interface over our runs, in a real browser."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from tracking_samples import study_run, trial_result, trial_run

from mlflow_nas.tracking import Mirror, set_view, view_link
from mlflow_nas.tracking.runs import TrialRun
from mlflow_nas.types import TrialResult

PATIENCE_S = 60
SPACE = [(5, 1, 96, 320), (5, 2, 64, 288), (3, 4, 48, 256), (3, 8, 24, 220)]

pytestmark = [pytest.mark.services, pytest.mark.slow]


def _trial(number: int) -> tuple[TrialRun, TrialResult]:
    choices = dict(zip(("kernel_size", "groups", "channels", "img_width"), SPACE[number], strict=True))
    metrics = {"flops": 2e8 / (number + 1), "latency_ms": 8.0 - number, "map": 0.5 - number / 10}
    return trial_run(number, architecture=choices), trial_result(number, metrics=metrics, constraints={})


@pytest.fixture
def study(mlflow_server: str, open_mirror: Callable[..., Mirror]) -> tuple[str, list[str]]:
    """A study of four trials on the server: its experiment and the trials' runs."""
    mirror = open_mirror(study_run(experiment="ui", uid="ui"), tracking_uri=mlflow_server)
    mirror.start_study()
    trials = [_trial(number) for number in range(len(SPACE))]
    for trial, result in trials:
        mirror.finish_trial(trial, result)
    assert mirror.flush(60) == 0
    return mirror.experiment_id, [str(mirror.run_id(trial)) for trial, _ in trials]


@pytest.fixture
def browser(chromium: str) -> Iterator[webdriver.Chrome]:
    """A headless Chromium with its own, empty profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "no-proxy-server"):
        options.add_argument(f"--{argument}")
    options.add_argument("--window-size=1600,1000")
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield found
    found.quit()


def _find(browser: webdriver.Chrome, xpath: str) -> WebElement:
    """The visible element, as soon as the page has drawn it."""

    def visible(_: webdriver.Chrome) -> WebElement | None:
        return next((e for e in browser.find_elements(By.XPATH, xpath) if e.is_displayed()), None)

    return WebDriverWait(browser, PATIENCE_S).until(visible, f"not on the page: {xpath}")


def _texts(browser: webdriver.Chrome, css: str) -> set[str]:
    return {element.text for element in browser.find_elements(By.CSS_SELECTOR, css)}


def _points(browser: webdriver.Chrome) -> set[tuple[float, float]]:
    """What the figure that is shown holds; Plotly draws it on a canvas."""
    script = """
        const shown = [...document.querySelectorAll('.js-plotly-plot')].find(plot => plot.offsetParent);
        return shown.data.flatMap(trace => [...trace.x].map((x, index) => [x, trace.y[index]]));
    """
    return {(x, y) for x, y in browser.execute_script(script)}


def _all_points(browser: webdriver.Chrome) -> list[set[tuple[float, float]]]:
    """What each figure of the page holds; those that are not drawn yet hold nothing."""
    script = """
        return [...document.querySelectorAll('.js-plotly-plot')].map(plot => (plot.data || [])
          .filter(trace => trace.x && trace.y)
          .flatMap(trace => [...trace.x].map((x, index) => [x, trace.y[index]])));
    """
    return [{(x, y) for x, y in points} for points in browser.execute_script(script)]


def _choose(browser: webdriver.Chrome, selector: str, metric: str) -> None:
    """Take a metric in one of the page's selectors."""
    _find(browser, f"//*[@id='{selector}']").click()
    _find(browser, f"//*[@role='option'][.='{metric}']").click()


def _compare(browser: webdriver.Chrome, server: str, experiment: str, runs: Sequence[str]) -> None:
    browser.get(
        f"{server}/#/compare-runs?runs={json.dumps(list(runs))}&experiments={json.dumps([experiment])}"
    )
    _find(browser, f"//*[contains(text(),'Comparing {len(runs)} Runs')]")


def test_the_ui_compares_the_trials_by_architecture_latency_and_map(
    browser: webdriver.Chrome, mlflow_server: str, study: tuple[str, list[str]], tmp_path: Path
) -> None:
    """Parallel coordinates over arch.*, then latency_ms against map with a point per trial."""
    experiment, runs = study
    _compare(browser, mlflow_server, experiment, runs)
    _find(browser, "//*[contains(@class,'parcoords')]")
    axes = _texts(browser, ".parcoords .axis-title")
    assert {"arch.channels", "arch.groups", "arch.img_width"} <= axes

    _find(browser, "//*[@role='tab'][contains(.,'Scatter')]").click()
    _choose(browser, "x-axis-selector", "latency_ms")
    _choose(browser, "y-axis-selector", "map")
    _find(browser, "//*[contains(@class,'xtitle')][.='latency_ms']")
    _find(browser, "//*[contains(@class,'ytitle')][.='map']")
    expected = {(8.0 - n, 0.5 - n / 10) for n in range(4)}
    assert _points(browser) == expected
    assert browser.save_screenshot(str(tmp_path / "scatter.png"))


def test_the_studys_link_opens_its_charts(
    browser: webdriver.Chrome, mlflow_server: str, study: tuple[str, list[str]]
) -> None:
    """Latency against accuracy with a point per trial, before the charts that the UI makes by itself."""
    experiment, runs = study
    client = MlflowClient(mlflow_server)
    name = client.get_run(runs[0]).data.tags["nas.study"]
    set_view(client, runs[0], name, objectives=["map", "latency_ms"], choices=["channels", "groups"])
    browser.get(f"{mlflow_server}/{view_link(experiment, name)}")
    _find(browser, f"//*[contains(text(),'Study {name}')]")
    _find(browser, "//*[text()='latency_ms vs. map']")
    expected = {(8.0 - n, 0.5 - n / 10) for n in range(4)}
    WebDriverWait(browser, PATIENCE_S).until(lambda shown: expected in _all_points(shown))
