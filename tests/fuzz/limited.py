"""Reads malformed files, each in a fork with little memory and time; a line of JSON for each.

python limited.py FOLDER
"""

import io
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from onnx import TensorProto, helper
from PIL import Image

from mlflow_nas.config import EvaluateConfig, load_config, load_devices
from mlflow_nas.data import load_dataset
from mlflow_nas.errors import NasError
from mlflow_nas.export.model_files import read_model
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.space import load_backbone_weights, load_seed_weights

LIMIT_S = 10
LIMIT_BYTES = 500 * 1024**2
"""Beyond what the process has before: the libraries alone take half of that."""

Read = Callable[[Path], object]
Case = tuple[str, str, str | bytes, Read]

LEVELS = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 10))
YAML_BOMB = f"x0: &x0 [{', '.join(['ha'] * 9)}]\n{LEVELS}names: *x9\n"
XML_LEVELS = "".join(f"<!ENTITY x{n} '{f'&x{n - 1};' * 10}'>" for n in range(1, 12))
XML_BOMB = f"<!DOCTYPE a [<!ENTITY x0 'ha'>{XML_LEVELS}]><annotation>&x11;</annotation>"
COCO = '{"categories": [{"id": 1, "name": "person"}], "annotations": [%s], "images": [%s]}'
IMAGE = '{"id": 1, "file_name": "%s", "width": 12000, "height": 12000}'
BOX = '{"id": 1, "image_id": 1, "category_id": 1, "bbox": %s}'


def _coco(path: Path) -> object:
    return load_dataset(f"coco:{path.parent}", "val")


def _yolo(path: Path) -> object:
    return load_dataset(f"yolo:{path.parent}", "val")


def _voc(path: Path) -> object:
    root = path.parent / "voc/VOC2012"
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "ImageSets/Main/val.txt").write_text("a\n")
    (root / "Annotations/a.xml").write_bytes(path.read_bytes())
    return load_dataset(f"voc:{root.parent}", "val")


def _config(path: Path) -> object:
    return load_config(EvaluateConfig, {}, file=path)


def _detect(path: Path) -> object:
    return OnnxDetector(path)(np.zeros((1, 3, 64, 64), np.float32))


def _model(
    *, size: int = 64, output: int = 2, domain: str = "", external: str = "", meta: str = "[]"
) -> bytes:
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [1, 6, output, output])
    if external:
        shape.ClearField("int64_data")
        shape.data_location = TensorProto.EXTERNAL
        shape.external_data.add(key="location", value=external)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=1, domain=domain),
        helper.make_node("Expand", ["mean", "shape"], ["out"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 6, output, output])
    graph = helper.make_graph(nodes, "main", [images], [out], [shape])
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, ir_version=9, opset_imports=opsets)
    helper.set_model_props(model, {"mlflow_nas.classes": meta})
    return bytes(model.SerializeToString())


def _saved(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _huge_image() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (12_000, 12_000), 90).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def cases() -> list[Case]:
    """Name, file, content, reader."""
    deep = "[" * 10**5
    yaml_readers: dict[str, Read] = {"data.yaml": _yolo, "devices.yaml": load_devices, "study.yaml": _config}
    found: list[Case] = []
    for name, read in yaml_readers.items():
        found += [(f"bomb in {name}", name, YAML_BOMB, read), (f"deep {name}", name, deep, read)]
        found += [(f"endless number in {name}", name, "names: [a]\nval: 1e400\ndevices: 1e400\n", read)]
        found += [(f"NUL in {name}", name, "devices:\n  pi: {host: a\0b}\n", read)]
        found += [(f"long name in {name}", name, f"{'x' * 5000}: 1\n", read)]
    found += [
        ("deep JSON", "val.json", deep, _coco),
        ("endless box", "val.json", COCO % (BOX % "[1e400, 0, 1, 1]", IMAGE % "a.png"), _coco),
        ("long file name", "val.json", COCO % (BOX % "[0, 0, 9, 9]", IMAGE % ("x" * 5000)), _coco),
        ("long number", "val.json", '{"images": ' + "9" * 10**6 + "}", _coco),
        ("expanding XML", "a.xml", XML_BOMB, _voc),
        ("deep XML", "a.xml", "<a>" * 10**5, _voc),
        *(
            (f"XML in {code}", "a.xml", f'<?xml version="1.0" encoding="{code}"?><annotation/>', _voc)
            for code in ("klingon", "rot13", "zlib_codec")
        ),
        ("input of 20000 px", "big.onnx", _model(size=20_000), _detect),
        ("input of 20000 px, float", "big.onnx", _model(size=20_000), read_model),
        ("output of 60 GB", "big.onnx", _model(output=50_000), _detect),
        ("unknown domain", "own.onnx", _model(domain="my.own"), _detect),
        ("weights elsewhere", "ext.onnx", _model(external="../../etc/passwd"), _detect),
        ("weights missing", "ext.onnx", _model(external="gone.bin"), read_model),
        ("no ONNX", "text.onnx", "text" * 1000, _detect),
        ("keys that are no text", "w.pth", _saved({1: torch.zeros(1)}), load_seed_weights),
        ("text as a backbone", "w.pth", "text", load_backbone_weights),
        ("deep pickle", "w.pth", b"\x80\x02" + b"(" * 10**5, load_seed_weights),
    ]
    return found


def _in_fork(read: Read, path: Path) -> dict[str, object]:
    """What a reader says, within the limits."""
    receiving, sending = os.pipe()
    if (child := os.fork()) == 0:
        os.close(receiving)
        signal.alarm(LIMIT_S)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT_BYTES, used + LIMIT_BYTES))
        try:
            found = ["nothing", str(read(path))[:200]]
        except NasError as error:
            found = ["refused", str(error)]
        except BaseException as error:  # noqa: BLE001 - it is what the test looks for
            found = ["raised", repr(error)[:500]]
        os.write(sending, json.dumps(found).encode()[:60_000])
        os._exit(0)
    os.close(sending)
    start = time.monotonic()
    with os.fdopen(receiving, "rb") as stream:
        text = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    kind, sentence = json.loads(text) if text else ("killed", f"exit status {code}")
    return {"kind": kind, "sentence": sentence, "seconds": time.monotonic() - start}


def main() -> None:
    """Read every case, and a huge image that is well."""
    folder = Path(sys.argv[1])
    for name, file, content, read in cases():
        path = folder / file
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        print(json.dumps({"name": name, "file": file, **_in_fork(read, path)}), flush=True)  # noqa: T201
        path.unlink()
    (folder / "images").mkdir()
    (folder / "images/huge.png").write_bytes(_huge_image())
    (folder / "val.json").write_text(COCO % (BOX % "[6000, 0, 6000, 6000]", IMAGE % "huge.png"))
    answer = _in_fork(lambda path: _coco(path)[0].boxes.tolist(), folder / "val.json")  # type: ignore[index]
    print(json.dumps({"name": "huge image", "file": "val.json", **answer}))  # noqa: T201


if __name__ == "__main__":
    main()
