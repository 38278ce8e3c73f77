"""What runs ON the device: facts, timing, inference and the store of deployed models.

One file for Python 3.9 or later with numpy and onnxruntime. ``python runtime.py COMMAND '{"option": value}'``
prints exactly one JSON object; a failure is ``{"error": sentence, "kind": whose fault}`` with exit code 1.
Kinds: "model" (it can't be loaded or run), "request" (the caller's mistake), "device" (everything else).

The store keeps ROOT/NAME/models/<sha256>.onnx and ROOT/NAME/manifest.json, which names the active file and
holds the "previous" manifest. Its rename is the one step that switches: power cuts leave the old or the new.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import json
import os
import platform
import re
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

Answer = dict[str, Any]
Run = Callable[[], Any]
Times = list[list[float]]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
DTYPES = {"float": "f4", "float16": "f2", "uint8": "u1", "int8": "i1", "int32": "i4", "int64": "i8"}
CPU = "/sys/devices/system/cpu/cpu0/cpufreq"
CHANGING = ("clock_mhz", "temperature_c", "load_1min")
WARM_UP_RUNS = 5  # warm-up compares the medians of this many runs
WARM_UP_CHANGE = 0.02


class Failure(Exception):  # noqa: N818 - an answer to the host, not a programming error
    """What can't be done, and whose fault it is: "model", "request" or "device"."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def _read(path: str | Path, pattern: str = r"(?s)(.+)") -> str | None:
    """What the pattern's group finds in a file of the system; None where it can't be read."""
    try:
        found = re.search(pattern, Path(path).read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:
        return None
    return found.group(1).strip("\0\n ") if found else None


def _scaled(value: str | None, factor: float) -> str | None:
    return f"{float(value) * factor:.0f}" if value else None


def facts() -> dict[str, str]:
    """What the device is and how it fares: processor, load, memory, versions; absent where unreadable."""
    import numpy as np
    import onnxruntime

    zones = [_read(zone) for zone in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    known = {
        "machine": platform.machine(),
        "soc": _read("/sys/firmware/devicetree/base/model"),
        "cpu": _read("/proc/cpuinfo", r"^model name\s*: (.+)$"),
        "cores": str(os.cpu_count()),
        "governor": _read(f"{CPU}/scaling_governor"),
        "clock_mhz": _scaled(_read(f"{CPU}/scaling_cur_freq"), 1e-3)
        or _read("/proc/cpuinfo", r"^cpu MHz\s*: (.+)$"),
        "temperature_c": _scaled(max((zone for zone in zones if zone), key=float, default=None), 1e-3),
        "load_1min": _read("/proc/loadavg", r"^(\S+)"),
        "memory_mb": _scaled(_read("/proc/meminfo", r"^MemTotal: *(\d+)"), 1 / 1024),
        "memory_free_mb": _scaled(_read("/proc/meminfo", r"^MemAvailable: *(\d+)"), 1 / 1024),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "providers": ",".join(onnxruntime.get_available_providers()),
    }
    return {name: value for name, value in known.items() if value}


def load(model: str, threads: int) -> tuple[Any, Run]:
    """The session, and a call that runs it on random inputs of its own shapes; it has run once already."""
    import numpy as np
    import onnxruntime

    if not Path(model).is_file():
        raise Failure("device", f"the model file {model} is not on the device")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        feed = {}
        for node in session.get_inputs():
            shape = [size if isinstance(size, int) else 1 for size in node.shape]
            feed[node.name] = (
                np.random.default_rng(0).random(shape).astype(DTYPES[node.type[len("tensor(") : -1]])
            )
        run = functools.partial(session.run, None, feed)
        run()
    except Exception as error:  # onnxruntime's errors share no base class
        raise Failure("model", f"onnxruntime {onnxruntime.__version__} refuses the model: {error}") from error
    return session, run


def _take_turns(runs: Sequence[Run], budget_s: float, least: int, most: int) -> tuple[Times, float]:
    """The times of each run in ms, taken in turn (first, second, first, ...), and the share preempted.

    A run that lost the processor to another process is left out as long as the least number remains.
    """
    every: Times = [[] for _ in runs]
    quiet: Times = [[] for _ in runs]
    clock, end = time.perf_counter_ns, time.perf_counter_ns() + int(budget_s * 1e9)
    while len(every[0]) < most and (len(every[0]) < least or clock() < end):
        for turn, run in enumerate(runs):
            switches, start = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw, clock()
            run()
            every[turn].append((clock() - start) / 1e6)
            if resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw == switches:
                quiet[turn].append(every[turn][-1])
    kept = quiet if min(len(times) for times in quiet) >= least else every
    return kept, 1 - len(quiet[0]) / len(every[0])


def _warm_up(runs: Sequence[Run], budget_s: float) -> None:
    """Run in turn until every median moves by less than WARM_UP_CHANGE, or the budget is used."""
    end = time.perf_counter() + budget_s
    before = [0.0] * len(runs)
    while time.perf_counter() < end:
        now = [statistics.median(times) for times in _take_turns(runs, 0, WARM_UP_RUNS, WARM_UP_RUNS)[0]]
        if all(abs(now[turn] - before[turn]) < WARM_UP_CHANGE * now[turn] for turn in range(len(runs))):
            return
        before = now


def time_(
    model: str, baseline: str | None, threads: int, budget_s: float, min_runs: int, max_runs: int
) -> Answer:
    """Time the model in turn with the baseline, `min_runs` to `max_runs` times: quantiles, ratio."""
    import numpy as np

    before = facts()
    runs = [load(path, threads)[1] for path in (model, baseline) if path]
    _warm_up(runs, budget_s / 3)
    gc.collect()
    gc.disable()
    try:
        times, preempted = _take_turns(runs, budget_s, min_runs, max_runs)
    finally:
        gc.enable()
    after = {f"{name}_after": value for name, value in facts().items() if name in CHANGING}
    p50, p90, p99 = np.percentile(times[0], [50, 90, 99]).tolist()
    mean = statistics.fmean(times[0])
    answer = {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "min_ms": min(times[0]), "mean_ms": mean}
    answer.update(cv=statistics.pstdev(times[0]) / mean, runs=len(times[0]))
    if baseline:
        answer["baseline_p50_ms"] = statistics.median(times[1])
        answer["ratio"] = p50 / answer["baseline_p50_ms"]
    return {**answer, "facts": {**before, **after, "threads": str(threads), "preempted": f"{preempted:.2f}"}}


def infer(model: str, images: str, output: str, threads: int, sha256: str | None = None) -> Answer:
    """Run the model on each image of an .npy file [n, 3, H, W]; its first outputs become another [n, ...]."""
    import numpy as np

    if sha256:
        _verify(Path(model), sha256)
    session, _ = load(model, threads)
    node = session.get_inputs()[0]
    batch = np.load(images)
    if len(batch) == 0 or list(batch.shape[1:]) != node.shape[1:]:
        raise Failure("request", f"the images are {list(batch.shape)}, the model takes {node.shape}")
    outputs = [session.run(None, {node.name: batch[i : i + 1]})[0] for i in range(len(batch))]
    np.save(output, np.concatenate(outputs))
    return {"images": len(batch)}


def _verify(path: Path, sha256: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise Failure("device", f"{path} has sha256 {found}, not {sha256}: it is damaged, deploy it again")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def _folder(root: str, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise Failure("request", f"the name {name!r} is refused: use letters, digits and inside also . _ -")
    return Path(root) / name


def _manifest(folder: Path) -> Answer | None:
    path = folder / "manifest.json"
    found: Answer | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found


def _switch(folder: Path, manifest: Answer) -> Answer:
    """Make this manifest the active one: one atomic rename, on the disk when this returns."""
    fresh = folder / "manifest.json.new"
    fresh.write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    _sync(fresh)
    fresh.replace(folder / "manifest.json")
    _sync(folder)
    return manifest


def install(root: str, name: str, staged: str, sha256: str, manifest: Answer) -> Answer:
    """Verify, try and place the staged file, then make it the active version of NAME; keep the one before."""
    folder, source = _folder(root, name), Path(staged)
    _verify(source, sha256)
    load(staged, threads=1)
    active = _manifest(folder)
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    _sync(source)
    source.replace(models / f"{sha256}.onnx")
    for changed in (models, folder, Path(root)):
        _sync(changed)
    same = active is not None and active["sha256"] == sha256
    previous = active["previous"] if active and same else active and {**active, "previous": None}
    fresh = _switch(folder, {**manifest, "name": name, "sha256": sha256, "previous": previous})
    kept = {f"{version['sha256']}.onnx" for version in (fresh, previous) if version}
    for file in models.iterdir():
        if file.name not in kept:
            file.unlink()
    return fresh


def rollback(root: str, name: str) -> Answer:
    """Make the previous version of NAME active, after verifying its file; the active one becomes previous."""
    folder = _folder(root, name)
    active = _manifest(folder)
    previous = active and active["previous"]
    if not active or not previous:
        raise Failure("request", f"{name} has no previous version on the device: deploy the version you want")
    _verify(folder / "models" / f"{previous['sha256']}.onnx", previous["sha256"])
    return _switch(folder, {**previous, "previous": {**active, "previous": None}})


def delete(root: str, name: str) -> Answer:
    """Remove NAME, if there is one; the manifest goes first: a power cut leaves it whole or gone."""
    folder = _folder(root, name)
    existed = folder.is_dir()
    if existed:
        (folder / "manifest.json").unlink(missing_ok=True)
        _sync(folder)
        shutil.rmtree(folder)
    return {"deleted": existed}


def get(root: str, name: str) -> Answer:
    """The active manifest of NAME, null when there is none."""
    return {"manifest": _manifest(_folder(root, name))}


def list_(root: str) -> Answer:
    """The active manifests of all names, in the order of the names."""
    return {"manifests": [_manifest(path.parent) for path in sorted(Path(root).glob("*/manifest.json"))]}


COMMANDS: dict[str, Callable[..., Answer]] = {
    function.__name__.rstrip("_"): function
    for function in (facts, time_, infer, install, rollback, delete, get, list_)
}


def main(argv: Sequence[str], answers: TextIO) -> int:
    """Run ``COMMAND [OPTIONS as one JSON object]``, write the JSON answer, return the exit code."""
    command, options = (*argv, "{}")[:2] if argv else ("", "{}")
    try:
        answer = COMMANDS[command](**json.loads(options))
    except KeyError:
        answer = {"error": f"the command is one of {', '.join(COMMANDS)}", "kind": "request"}
    except Failure as failure:
        answer = {"error": str(failure), "kind": failure.kind}
    except Exception as error:  # noqa: BLE001 - whatever happened, the host gets one JSON object
        answer = {"error": f"{type(error).__name__}: {error}", "kind": "device"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries that print to standard output must not spoil the one JSON object
    sys.exit(main(sys.argv[1:], stdout))
