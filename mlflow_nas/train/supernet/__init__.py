"""One supernet per space: shared weights, trained once, that rank its architectures."""

from mlflow_nas.train.supernet.inputs import MemberBatches
from mlflow_nas.train.supernet.measuring import STATISTICS_PASSES, evaluate_member, with_statistics
from mlflow_nas.train.supernet.members import Member, Members
from mlflow_nas.train.supernet.training import SupernetTraining, sandwich

__all__ = [
    "STATISTICS_PASSES",
    "Member",
    "MemberBatches",
    "Members",
    "SupernetTraining",
    "evaluate_member",
    "sandwich",
    "with_statistics",
]
