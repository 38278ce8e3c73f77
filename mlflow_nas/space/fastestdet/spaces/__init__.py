"""The search spaces around FastestDet."""

from mlflow_nas.space.fastestdet.spaces.cell import cell
from mlflow_nas.space.fastestdet.spaces.chain import chain
from mlflow_nas.space.fastestdet.spaces.family import OUTPUT_BRANCHES
from mlflow_nas.space.fastestdet.spaces.head import fastestdet_head, seed_head
from mlflow_nas.space.fastestdet.spaces.multi_branch import multi_branch

__all__ = ["OUTPUT_BRANCHES", "cell", "chain", "fastestdet_head", "multi_branch", "seed_head"]
