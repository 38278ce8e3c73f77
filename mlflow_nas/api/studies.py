"""A study, opened and prepared for the commands that train its trials."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlflow_nas.config import SearchConfig, SelectConfig, take_project_run_id

if TYPE_CHECKING:
    from mlflow_nas.search import Progress, Search

__all__ = ["tracked"]

_FLUSH_S = 10.0
"""How long the end of a command waits until MLflow has the end of the study's run."""


@contextmanager
def tracked(config: SearchConfig | SelectConfig, progress: "Progress | None") -> Iterator["Search"]:
    """A study, prepared for trials; its run ends as the block does."""
    from mlflow_nas.api.project_run import params_for
    from mlflow_nas.search import NoProgress, Search, make_executor, open_session
    from mlflow_nas.tracking import connect, default_uri

    shown = progress or NoProgress()
    run_id = take_project_run_id()
    params = params_for(connect(default_uri()), config, run_id) if run_id else None
    session = open_session(config, project_run=run_id, params=params)
    session.mirror.start_study()
    try:
        search = Search(session=session, executor=make_executor(config, session, shown), display=shown)
        search.prepare()
        yield search
    except BaseException as error:
        session.mirror.finish_study("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    else:
        session.mirror.finish_study("FINISHED")
    finally:
        shown.close()
        session.mirror.flush(_FLUSH_S)
        session.close()
