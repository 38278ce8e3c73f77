"""The answer of a search, in sentences: what to ship, how much faster it is, how accurate, and why."""

from collections.abc import Sequence

from mlflow_nas.networks import TASK_METRICS
from mlflow_nas.registry import FLOOR, Goal, Version, choose_holders, first_objective
from mlflow_nas.report import front_of
from mlflow_nas.types import Objective, TrialResult

__all__ = ["answer", "champion_of", "nearest_of", "version_figures"]

_FIGURES = ("latency_ratio", "latency_raw_ms", "speedup")


def version_figures(
    result: TrialResult, objectives: Sequence[Objective], reference: TrialResult | None
) -> dict[str, str]:
    """The tags of a version that decide about its aliases."""
    accuracy = _accuracy(objectives)
    also = [name for names in TASK_METRICS.values() if accuracy in names for name in names]
    names = [*(one.name for one in objectives), f"{accuracy}_ci_low", f"{accuracy}_ci_high", *also, *_FIGURES]
    tags = {name: repr(result.metrics[name]) for name in names if name in result.metrics}
    tags["nas.accuracy"] = accuracy
    tags["nas.role"] = "reference" if result is reference else result.role
    if result.latency_unstable:
        tags["nas.latency_unstable"] = "true"
    if reference is not None and accuracy in reference.metrics:
        tags[f"nas.reference_{accuracy}"] = repr(reference.metrics[accuracy])
    return tags


def answer(
    shipped: Sequence[TrialResult],
    reference: TrialResult | None,
    *,
    objectives: Sequence[Objective],
    goal: Goal,
    file: str | None = None,
) -> list[str]:
    """Sentences for the end of a search.

    Args:
        shipped: finalists, or the front where none were trained to the end.
        reference: the detector as it was given, else the baseline.
        objectives: of the study.
        goal: of the champion.
        file: name of the file that was given as the reference; None for weights or for the baseline.
    """
    accuracy = _accuracy(objectives)
    if reference is None or accuracy not in reference.metrics:
        return ["There is no reference to compare with: the baseline has no complete trial."]
    lines = [_reference_line(reference, accuracy, file)]
    complete = [one for one in shipped if one.state == "complete"]
    champion = champion_of(complete, reference, objectives=objectives, goal=goal)
    if champion is not None:
        lines.append(f"Ship {champion.key}: {_compared(champion, reference, accuracy)}.")
    else:
        lines += _nothing_gained(complete, reference, accuracy, goal)
    lines += _on_test(champion or nearest_of(complete, accuracy, goal), reference, accuracy)
    if shipped and all(one.role != "finalist" for one in shipped):
        lines.append(
            "These networks had the short training of a trial: --finalists 4 trains the best to the end."
        )
    return lines


def _reference_line(reference: TrialResult, accuracy: str, file: str | None) -> str:
    """What everything is compared with; of a float file that was quantized plainly also its own figures."""
    if reference.role != "reference":
        return f"Reference: the baseline {reference.key}, {_figures(reference, accuracy)}."
    if file is None:
        return f"Reference: the detector as given, {_figures(reference, accuracy)}."
    name, metrics = f"the detector as given, {file}", reference.metrics
    if not {"fp32", "int8"} <= reference.artefacts.keys():
        return f"Reference: {name}: {_figures(reference, accuracy)}."
    own = f"{accuracy} {metrics[f'{accuracy}_fp32']:.3f}"
    if "latency_ms_fp32" in metrics:
        own += f", {metrics['latency_ms_fp32']:.3g} ms"
    return (
        f"Reference: {name}, in int8 by ONNX Runtime's static quantization: {_figures(reference, accuracy)} "
        f"(in float: {own})."
    )


def _accuracy(objectives: Sequence[Objective]) -> str:
    return (first_objective(objectives, maximize=True) or objectives[0]).name


def champion_of(
    results: Sequence[TrialResult],
    reference: TrialResult,
    *,
    objectives: Sequence[Objective],
    goal: Goal,
) -> TrialResult | None:
    """As the registry chooses it among these results."""
    measured = [one for one in results if all(objective.name in one.metrics for objective in objectives)]
    versions = {
        id(one): Version(number, version_figures(one, objectives, reference))
        for number, one in enumerate(measured, start=1)
    }
    if not versions:
        return None
    front = [versions[id(one)] for one in front_of(measured, objectives)]
    holders = choose_holders(list(versions.values()), front, objectives, goal)
    found = holders.by_role.get("champion")
    return measured[found.number - 1] if found else None


def _nothing_gained(
    results: Sequence[TrialResult], reference: TrialResult, accuracy: str, goal: Goal
) -> list[str]:
    wanted = (
        f"{goal}, {accuracy} >= {FLOOR * reference.metrics[accuracy]:.3f}"
        if goal.is_about_speed
        else f"{accuracy} at most {goal.max_drop:g} below the reference's"
    )
    lines = [f"Nothing was gained: no faster network reaches the goal ({wanted})."]
    nearest = nearest_of(results, accuracy, goal)
    if nearest is not None:
        lines.append(f"The nearest is {nearest.key}: {_compared(nearest, reference, accuracy)}.")
    lines.append(
        "What may help: choices that save time on this board, such as the input's height (`mlflow_nas focus` "
        "measures them), another space, more training images, more epochs (finalists.epochs)."
    )
    return lines


def nearest_of(results: Sequence[TrialResult], accuracy: str, goal: Goal) -> TrialResult | None:
    """The faster network that comes nearest to the goal, where none reaches it."""
    faster = [one for one in results if one.metrics.get("speedup", 0.0) > 1]
    name = "speedup" if goal.is_about_speed else accuracy
    return max(faster, key=lambda one: one.metrics[name], default=None)


def _on_test(shown: TrialResult | None, reference: TrialResult, accuracy: str) -> list[str]:
    """Both accuracies on the test split, where there is one."""
    name = f"test_{accuracy}"
    if shown is None or name not in shown.metrics or name not in reference.metrics:
        return []
    own, given = shown.metrics[name], reference.metrics[name]
    return [
        f"On the test split, which decided nothing, {shown.key} has {accuracy} {own:.3f}, the reference "
        f"{given:.3f} ({own - given:+.3f})."
    ]


def _figures(result: TrialResult, accuracy: str) -> str:
    latency = result.metrics.get("latency_ms")
    found = f"{accuracy} {result.metrics[accuracy]:.3f}"
    return found if latency is None else f"{found}, {latency:.3g} ms"


def _compared(result: TrialResult, reference: TrialResult, accuracy: str) -> str:
    metrics = result.metrics
    difference = metrics[accuracy] - reference.metrics[accuracy]
    text = (
        f"{metrics['speedup']:.2f} times as fast ({metrics['latency_ms']:.3g} ms), {accuracy} "
        f"{metrics[accuracy]:.3f}, {difference:+.3f}"
    )
    low, high = (metrics.get(f"{accuracy}_difference_ci_{end}") for end in ("low", "high"))
    if low is None or high is None:
        return text
    noise = "may be chance" if low <= 0 <= high else "is more than chance"
    over = "images and seeds" if f"{accuracy}_seed_sd" in metrics else "images"
    return f"{text} (95 % interval over {over} {low:+.3f} to {high:+.3f}: the difference {noise})"
