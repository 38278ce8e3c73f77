"""The section of what `profile` times beside the nodes."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from mlflow_nas.config.fields import Seconds, Section, option, split

__all__ = ["TimingSection"]

_Threads = Annotated[int, Field(ge=1, le=256)]


class TimingSection(Section):
    """Timing: what is timed beside the nodes."""

    threads: Annotated[tuple[_Threads, ...], BeforeValidator(split)] = Field(
        (1, 2, 4),
        description="Numbers of threads of one inference that are compared; those above the board's cores "
        "are left out",
        json_schema_extra=option("threads", form="1,2,4"),
    )
    sustained_s: Seconds | None = Field(
        None,
        gt=0,
        le=86_400,
        description="Run the last file so long without a pause: rate, temperature and clock over time",
        json_schema_extra=option("sustained", form="60s|10m|SECONDS"),
    )
