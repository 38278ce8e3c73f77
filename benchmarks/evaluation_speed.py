"""What decoding, suppression and matching cost per image, against the network's forward at 320 pixels.

python benchmarks/evaluation_speed.py --threads 1
"""

import statistics
import time

import torch
from common import Goal, end, make_parser, open_study, table

from mlflow_nas.data import Batch
from mlflow_nas.tasks import CocoMap, decode

MOST = 0.15


def forward_s(network: torch.nn.Module, batches: list[Batch]) -> tuple[float, list[torch.Tensor]]:
    """Seconds for all batches in the fastest memory format, and the outputs."""
    start = time.perf_counter()
    with torch.inference_mode():
        outputs = [network(batch.images.contiguous(memory_format=torch.channels_last)) for batch in batches]
    return time.perf_counter() - start, outputs


def rest_s(outputs: list[torch.Tensor], batches: list[Batch]) -> tuple[float, float]:
    """Seconds of decoding with suppression, and of matching with the final mAP."""
    metric, decoded_s, start = CocoMap(), 0.0, time.perf_counter()
    for output, batch in zip(outputs, batches, strict=True):
        before = time.perf_counter()
        found = decode(output)
        decoded_s += time.perf_counter() - before
        metric.update(found, batch.targets, batch.sizes)
    metric.compute()
    return decoded_s, time.perf_counter() - start - decoded_s


def main() -> None:
    """Measure in turn, then print milliseconds per image and the ratio."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    context = open_study(options)
    baseline = context.space.baseline
    network = context.build(baseline).eval().to(memory_format=torch.channels_last)
    batches = list(context.data(baseline).batches("val"))
    rounds = []
    for _ in range(options.rounds + 1):
        seconds, outputs = forward_s(network, batches)
        rounds.append((seconds, *rest_s(outputs, batches)))
    per_ms = 1000 / len(context.val)
    forward, decoding, matching = (
        statistics.median(column) * per_ms for column in zip(*rounds[1:], strict=True)
    )
    ratio = statistics.median((one[1] + one[2]) / one[0] for one in rounds[1:])
    rows = [(f"{forward:.2f}", f"{decoding:.2f}", f"{matching:.2f}", f"{ratio:.3f}")]
    head = ("forward, ms/image", "decode + NMS", "matching + mAP", "(decode + matching) / forward")
    end(table(head, rows), Goal(head[-1], ratio, MOST, at_most=True))


if __name__ == "__main__":
    main()
