"""What was found in a data set: counts with reasons, what of it is refused, and examples of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from mlflow_nas.errors import ConfigError

__all__ = ["KINDS", "Example", "Finding", "Findings", "Severity", "XyxyBox"]

Severity: TypeAlias = Literal["refused", "warning", "counted"]
XyxyBox: TypeAlias = tuple[float, float, float, float]

_EXAMPLES = 12
_NAMED = 3


class _Kind(NamedTuple):
    severity: Severity
    sentence: str


KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "box-repeated": _Kind("warning", "repeated boxes are left out"),
        "entry-repeated": _Kind("warning", "repeated list entries are used once"),
        "image-repeated": _Kind("warning", "images that repeat another one, with its boxes, are left out"),
        "copies-differ": _Kind(
            "refused", "copies of an image have other boxes than it: keep one with all of them"
        ),
        "image-unusable": _Kind("warning", "images can't be used and are left out"),
        "image-without-labels": _Kind("warning", "images have no label file, and count as without objects"),
        "labels-without-image": _Kind("warning", "label files belong to no image of any split"),
        "labels-shared": _Kind("warning", "images share their label file with another image"),
        "image-unlisted": _Kind("counted", "images beside the others are in no split"),
        "box-without-area": _Kind("warning", "boxes without an area (empty or reversed) are left out"),
        "box-outside": _Kind("warning", "boxes outside of their image are left out"),
        "box-clipped": _Kind("warning", "boxes that reach out of their image are clipped to it"),
        "boxes-off": _Kind(
            "refused",
            "boxes are empty, reversed, or far out of their image: they have another unit or order of their "
            "numbers, or belong to images of another size; write them anew",
        ),
        "boxes-in-shares": _Kind(
            "refused", "boxes are smaller than a pixel, so they are shares; write them in pixels"
        ),
        "boxes-in-pixels": _Kind(
            "refused", "boxes have numbers above 2, so they are pixels; write them as shares of the image"
        ),
        "boxes-as-corners": _Kind(
            "refused",
            "boxes reach out of their image, and all are corners in it; write bbox as x, y, width, height",
        ),
        "class-near": _Kind(
            "refused",
            "boxes have a class whose name is nearly that of a requested one; rename it, or request both",
        ),
        "class-other": _Kind("counted", "boxes have a class that was not requested, and are left out"),
        "class-without-box": _Kind("warning", "requested classes have no box in a split"),
        "score-low": _Kind("counted", "results have a score below min_score, and are left out"),
        "bits-guessed": _Kind(
            "warning", "images of 16 bits hold values of 12 or 8 bits, which are scaled to the full range"
        ),
        "image-reduced": _Kind("counted", "images of over 16.8 million pixels are used at a smaller size"),
        "splits-share-images": _Kind(
            "refused",
            "images are in two splits, so accuracy is measured on images of the training; remove them",
        ),
        "splits-share-few": _Kind("warning", "images are in two splits"),
        "splits-look-alike": _Kind("warning", "images look like one of another split"),
    }
)
"""Name to severity and sentence; the sentence follows a count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One case of a finding.

    Attributes:
        place: file, line or entry, as text.
        image: the image; None where there is none.
        box: xyxy in pixels of the image; None for the whole image.
    """

    place: str
    image: Path | None = None
    box: XyxyBox | None = None


@dataclass(slots=True, kw_only=True)
class Finding:
    """All cases of one kind.

    Attributes:
        kind: a key of KINDS.
        count: number of cases.
        examples: the first of them.
    """

    kind: str
    count: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        """Whether it is refused, warned about, or only counted."""
        return KINDS[self.kind].severity

    @property
    def reason(self) -> str:
        """What is wrong with the cases, and what happens to them."""
        return KINDS[self.kind].sentence

    @property
    def sentence(self) -> str:
        """Count, reason and the first places."""
        places = ", ".join(one.place for one in self.examples[:_NAMED])
        rest = ", ..." if self.count > _NAMED else ""
        return f"{self.count} {self.reason} ({places}{rest})"


class Findings:
    """Findings by kind, in the order in which they were met."""

    def __init__(self) -> None:
        self._found: dict[str, Finding] = {}

    def add(
        self,
        kind: str,
        place: str,
        *,
        count: int = 1,
        image: Path | None = None,
        box: XyxyBox | None = None,
    ) -> None:
        """Count cases, and keep the place of the first ones."""
        finding = self._found.setdefault(kind, Finding(kind=kind))
        finding.count += count
        if len(finding.examples) < _EXAMPLES:
            finding.examples.append(Example(place=place[:300], image=image, box=box))

    def merge(self, other: "Findings") -> None:
        """Add those of another part of the data."""
        for one in other:
            finding = self._found.setdefault(one.kind, Finding(kind=one.kind))
            finding.count += one.count
            finding.examples = [*finding.examples, *one.examples][:_EXAMPLES]

    def of(self, severity: Severity) -> list[Finding]:
        """Those of one severity."""
        return [one for one in self if one.severity == severity]

    @property
    def counts(self) -> dict[str, int]:
        """Kind to number of cases."""
        return {one.kind: one.count for one in self}

    def refuse(self, source: str) -> None:
        """Raise what makes results wrong.

        Args:
            source: the data, for the message.

        Raises:
            ConfigError: with all of it.
        """
        refused = self.of("refused")
        if refused:
            raise ConfigError(f"{source}: {'; '.join(one.sentence for one in refused)}.")

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)
