"""Self-contained HTML pages: templates, style sheet and script of the folder `templates`."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mlflow_nas.report.svg_parts import marker

__all__ = ["render", "svg"]

_FOLDER = Path(__file__).with_name("templates")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["marker"] = lambda form, kind: Markup(marker(form, kind))  # noqa: S704 - our own
    return environment


def render(template: str, *, title: str, **values: object) -> str:
    """A page that loads nothing from elsewhere.

    Args:
        template: file of the folder.
        title: of the page.
        values: that the template names; text is escaped.
    """
    css, js = (Markup((_FOLDER / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))  # noqa: S704
    return _environment().get_template(template).render(title=title, css=css, js=js, **values)


def svg(text: str) -> Markup:
    """A chart of `mlflow_nas.report.svg`, which has escaped its texts."""
    return Markup(text)  # noqa: S704
