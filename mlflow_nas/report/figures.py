"""Numbers of results as short texts."""

from collections.abc import Sequence

from mlflow_nas.types import TrialResult

__all__ = ["accuracy_text", "duration", "network_row", "signed", "size", "value"]


def value(result: TrialResult | None, name: str, form: str = ".4g") -> str:
    """A metric; a dash where there is none."""
    known = None if result is None else result.metrics.get(name)
    return "-" if known is None else format(known, form)


def signed(number: float) -> str:
    """With its sign and three decimals."""
    return f"{number:+.3f}"


def size(size_bytes: float | None) -> str:
    """248 kB for 248,000 bytes; a dash for none."""
    if size_bytes is None:
        return "-"
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.2f} MB"


def duration(seconds: float) -> str:
    """12 s, 5 min, 3.2 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def accuracy_text(result: TrialResult, name: str) -> str:
    """A value with its 95 % interval, where it is known."""
    ends = [result.metrics.get(f"{name}_ci_{end}") for end in ("low", "high")]
    shown = value(result, name, ".3f")
    return shown if None in ends else f"{shown} ({ends[0]:.3f} to {ends[1]:.3f})"


def network_row(title: str, result: TrialResult, names: Sequence[str]) -> dict[str, str]:
    """A row of a table of networks: title, key, accuracies with intervals, latency, speed-up, size."""
    metrics = result.metrics
    return {
        "network": title,
        "architecture": result.key,
        **{name: accuracy_text(result, name) for name in names},
        "latency ms": value(result, "latency_ms", "#.3g") + (" unstable" if result.latency_unstable else ""),
        "speed-up": _speedup(result),
        "size": size(metrics.get("model_size_bytes")),
        "MFLOPs": f"{metrics['flops'] / 1e6:.0f}" if "flops" in metrics else "-",
        "parameters": f"{metrics['params'] / 1e3:.0f} k" if "params" in metrics else "-",
    }


def _speedup(result: TrialResult) -> str:
    """Over the detector as given, which is measured before its own latency is known."""
    if result.role == "reference":
        return "1.00x"
    return f"{result.metrics['speedup']:.2f}x" if "speedup" in result.metrics else "-"
