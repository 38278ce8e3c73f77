"""An HTML page of findings, with their worst examples drawn."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from mlflow_nas.data.dataset import DetectionDataset
from mlflow_nas.data.findings import Example, Finding, Findings
from mlflow_nas.data.image_files import MAX_PIXELS, read_image
from mlflow_nas.disk import write_whole
from mlflow_nas.errors import ConfigError

__all__ = ["write_page"]

_SIDE_PX = 320
_LINE_PX = 3
_RED = (230, 40, 40)
_ORDER = {"refused": 0, "warning": 1, "counted": 2}
_STYLE = (
    "body{font:15px sans-serif;margin:2em;max-width:75em}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.3em .7em;text-align:left}figure{display:inline-block;margin:.5em}"
    "figcaption{max-width:20em;overflow-wrap:anywhere;font-size:12px}.refused{color:#b00}"
)


def write_page(path: Path, *, uri: str, splits: Mapping[str, DetectionDataset], findings: Findings) -> Path:
    """Write the page: one file, without scripts and links.

    Args:
        path: of the file.
        uri: of the data set.
        splits: name to split, for the table.
        findings: of all of them.

    Raises:
        ConfigError: the file can't be written.
        MachineError: the disk is full or broken.
    """
    ordered = sorted(findings, key=lambda one: (_ORDER[one.severity], -one.count))
    rows = [
        (name, len(split), sum(len(record.boxes) for record in split.records), split.digest)
        for name, split in splits.items()
    ]
    parts = [
        "<!doctype html><meta charset=utf-8>",
        f"<title>{html.escape(uri)}</title><style>{_STYLE}</style><h1>{html.escape(uri)}</h1>",
        _table(("split", "images", "boxes", "digest"), rows),
        _table(("severity", "count", "finding"), [_summary(one) for one in ordered]),
        *map(_section, ordered),
    ]
    return write_whole(path, "\n".join(parts).encode())


def _summary(finding: Finding) -> tuple[str, int, str]:
    return finding.severity, finding.count, finding.reason


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["".join(f"<th>{cell}</th>" for cell in head)]
    lines += ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table><p></p>"


def _section(finding: Finding) -> str:
    title = html.escape(f"{finding.count} {finding.reason}")
    return f'<h2 class="{finding.severity}">{title}</h2>' + "".join(map(_figure, finding.examples))


def _figure(example: Example) -> str:
    drawn = _drawn(example)
    picture = f'<img src="data:image/jpeg;base64,{drawn}" alt="">' if drawn else ""
    return f"<figure>{picture}<figcaption>{html.escape(example.place)}</figcaption></figure>"


def _drawn(example: Example) -> str:
    """The image with its box as a small JPEG in base64; "" where it can't be read."""
    if example.image is None:
        return ""
    try:
        image = Image.fromarray(read_image(example.image, upright=False, max_pixels=MAX_PIXELS))
    except ConfigError:
        return ""
    scale = _SIDE_PX / max(image.size)
    width, height = (max(round(side * scale), 1) for side in image.size)
    small = image.resize((width, height))
    if example.box is not None:
        left, top, right, bottom = (value * scale for value in example.box)
        corners = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
        ImageDraw.Draw(small).rectangle(corners, outline=_RED, width=_LINE_PX)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=80)
    return base64.b64encode(stream.getvalue()).decode()
