"""The published FastestDet as an ONNX file: what the user of the demo has, and each search compares with.

In float, at its own input size, without this project's graph passes:

    python benchmarks/demo_reference.py --out build/fastestdet.onnx
    mlflow_nas search --reference build/fastestdet.onnx --weights ../shared/weights/fastestdet_coco.pth ...
"""

import argparse
from pathlib import Path

from common import end, given_detector, make_parser, open_study

from mlflow_nas.export import export_onnx


def main() -> None:
    """Write the file."""
    parser = make_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    given = given_detector(open_study(options))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    export_onnx(given.build(), options.out, img_size=given.img_size, metadata={}, passes=False)
    end(f"{options.out}: {given.img_size[1]}x{given.img_size[0]} px, {len(given.classes)} classes\n")


if __name__ == "__main__":
    main()
