"""What all spaces of FastestDet have in common."""

from collections.abc import Callable, Mapping

from mlflow_nas.space.fastestdet.network import FastestDet
from mlflow_nas.space.parameter import Parameter
from mlflow_nas.space.search_space import SearchSpace, Transfer
from mlflow_nas.types import Architecture

__all__ = ["OUTPUT_BRANCHES", "fastestdet_space"]

OUTPUT_BRANCHES = ("head.objectness", "head.box", "head.classes")
"""The last modules of FastestDet stay in float: no later layer corrects an error there."""


def fastestdet_space(
    *,
    name: str,
    parameters: Mapping[str, Parameter],
    baseline: Architecture,
    build: Callable[[Architecture, int], FastestDet],
    transfer: Transfer,
) -> SearchSpace:
    """A space of FastestDet networks: its backbone may be frozen, its output branches stay in float."""
    return SearchSpace(
        name=name,
        parameters=parameters,
        baseline=baseline,
        build=build,
        transfer=transfer,
        trunk="backbone",
        stem="backbone.conv1",
        caches_trunk=True,
        shufflenet_trunk=True,
        float_modules=OUTPUT_BRANCHES,
    )
