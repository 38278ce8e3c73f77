"""The page of a study, and of two."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_samples import study, trial

from mlflow_nas.report import StudyReport, write_comparison_page, write_study_page
from mlflow_nas.report.study_charts import front_chart
from mlflow_nas.types import Objective

VOID = {"meta", "br", "image", "use", "path", "rect", "input"}


class _Checker(HTMLParser):
    """Collects open tags and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.addresses |= {str(value) for name, value in attrs if name in ("href", "src")}
        self.ids |= {str(value) for name, value in attrs if name == "id"}

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def _write(report: StudyReport, folder: Path) -> str:
    return write_study_page(report, folder / "sub" / "report.html").read_text(encoding="utf-8")


def _text(page: str) -> str:
    """What a reader sees, without charts."""
    body = re.sub(r"<(style|script|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def _check(page: str) -> _Checker:
    checker = _Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


def test_a_page_loads_nothing_and_its_links_exist(tmp_path: Path) -> None:
    """It can be mailed: addresses are those of runs, of its own parts, or pictures in the page itself."""
    checker = _check(_write(study(), tmp_path))
    outside = {one for one in checker.addresses if not one.startswith(("#", "data:image/jpeg;base64,"))}
    assert outside == {
        f"http://mlflow.example/#/experiments/1/runs/run{number}?workflowType=machine_learning"
        for number in (0, 1, 2, 3, 9)
    }
    assert {one[1:] for one in checker.addresses if one.startswith("#")} <= checker.ids


def test_a_page_without_pictures_is_small(tmp_path: Path) -> None:
    """A megabyte at most with two hundred trials."""
    many = tuple(trial(number, 0.1 + number / 1000, 1 - number / 300) for number in range(200))
    report = replace(study(), results=many, images=())
    assert len(_write(report, tmp_path)) < 1e6


def test_the_first_screen_says_what_to_ship_and_why(tmp_path: Path) -> None:
    """Speed-up, accuracy with its interval and difference, size, cost, before everything else."""
    first = _text(_write(study(), tmp_path)).partition("Accuracy against latency")[0]
    for part in (
        "Ship k3-c1",
        "2.00x",
        "5.00 ms",
        "reference 11.0 ms",
        "95 %: 0.380 to 0.440",
        "reference 0.410: +0.000",
        "95 % of it: -0.020 to +0.040",
        "300 kB",
        "2.0 h",
        "5 trials, 2 trained to the end",
        "detector as given as-given 0.410 11.0 1.00x",
    ):
        assert part in first, part


def test_without_a_champion_the_nearest_is_named(tmp_path: Path) -> None:
    """The headline does not say that something should be shipped."""
    text = _text(_write(study(champion=None, nearest="k3-c1"), tmp_path))
    assert "Nothing was gained" in text
    assert "Nearest to the goal: speed" in text
    assert "Ship k3-c1 2.00x" not in text


def test_a_running_study_has_a_page(tmp_path: Path) -> None:
    """Also one without a complete trial, and one whose MLflow is not known."""
    running = study(
        champion=None,
        answer=(),
        finalists=(),
        images=(),
        layers=(),
        importance={},
        hypervolume=(),
        given=None,
    )
    assert "The search has not ended" in _text(_write(running, tmp_path))
    empty = replace(running, results=running.results[-1:], runs_page="", seconds={})
    page = _write(empty, tmp_path)
    _check(page)
    assert "No trial has these values yet." in _text(page)


def test_points_of_the_front_differ_in_their_form() -> None:
    """Colour is not the only difference between the groups."""
    chart = front_chart(study())
    forms = {one.name: one.form for one in chart.series}
    assert forms.keys() == {
        "dominated",
        "latency unstable",
        "Pareto front",
        "baseline",
        "finalist, 95 % interval",
        "detector as given",
        "champion",
    }
    assert forms["champion"] == "star"
    assert len({forms[name] for name in ("dominated", "latency unstable", "Pareto front", "champion")}) == 4


def test_a_point_shows_its_architecture_and_opens_its_run() -> None:
    """The values stand in the page, also for a reader without scripts."""
    svg = front_chart(study()).svg
    assert (
        "trial 1, trial, k3-c1\nmap 0.38\nlatency_ms 5\nlatency_ratio 0.5\nspeedup 2\nkernel_size = 3" in svg
    )
    assert 'href="http://mlflow.example/#/experiments/1/runs/run1?workflowType=machine_learning"' in svg
    assert "latency_ratio, to the reference model" in svg


@pytest.mark.parametrize("count", [1, 3])
def test_a_study_of_other_objectives_has_a_front(tmp_path: Path, count: int) -> None:
    """One objective is drawn over the trials' numbers."""
    objectives = (*study().objectives, Objective("params", "minimize"))[:count]
    page = _write(study(objectives=objectives), tmp_path)
    assert (">trial</text>" in page) == (count == 1)


def test_compared_images_are_stored_once_with_the_boxes_of_both(tmp_path: Path) -> None:
    """With one class a tag has no name; the names of several are text, whatever they hold."""
    page = _write(study(), tmp_path)
    assert page.count("data:image/jpeg;base64,") == page.count('<div class="pair">')
    assert page.count('<use href="#photo-1"/>') == 2
    assert ">missed</text>" in page
    several = study()
    dog = replace(several.images[0].champion[0], label="dog")
    image = replace(several.images[0], reference=(dog,))
    page = _write(replace(several, images=(image,)), tmp_path)
    assert "person<b>" not in page
    assert "missed person&lt;b&gt;" in page
    text = _text(_write(study(), tmp_path))
    assert "map 0.410, 11.0 ms" in text
    assert "reference : 2 hits, 1 missed, 0 false" in text


def test_two_studies_are_compared(tmp_path: Path) -> None:
    """Both fronts, the architectures of both, and what differs."""
    other = study(study="day", settings={"board": "x86"})
    page = write_comparison_page(study(), other, tmp_path / "both.html").read_text(encoding="utf-8")
    _check(page)
    text = _text(page)
    assert "night and day" in text
    assert "board pi x86" in text
    assert "machine" not in text.partition("What differs")[2]
    assert "k3-c2 0.2 0.2 0.9 0.9 9 9" in text
