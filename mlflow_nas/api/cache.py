"""`mlflow_nas cache`: the contents of the step cache, and pruning it."""

from pathlib import Path

from mlflow_nas.api.results import CacheReport
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import CachePruneConfig

__all__ = ["cache_prune", "cache_show"]


def cache_show() -> CacheReport:
    """Entries and bytes of each step."""
    return _report(removed=0)


def cache_prune(
    settings: CachePruneConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> CacheReport:
    """Remove the least recently used entries until the rest is within a size.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting.
    """
    chosen = read_settings(CachePruneConfig, settings, options, config)
    from mlflow_nas.search import open_cache

    cache = open_cache()
    limit = cache.limit_bytes if chosen.max_gb is None else int(chosen.max_gb * 1e9)
    return _report(removed=cache.prune(limit))


def _report(*, removed: int) -> CacheReport:
    from mlflow_nas.search import open_cache

    cache = open_cache()
    steps = cache.sizes()
    return CacheReport(
        folder=cache.folder,
        entries=sum(count for count, _ in steps.values()),
        size_bytes=sum(size for _, size in steps.values()),
        limit_bytes=cache.limit_bytes,
        steps=steps,
        removed=removed,
    )
