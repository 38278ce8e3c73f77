"""Configuration of `compare`."""

from pathlib import Path

from pydantic import Field, model_validator

from mlflow_nas.config.fields import CommandConfig, File, Name, Names, option

__all__ = ["CompareConfig"]


class CompareConfig(CommandConfig):
    """Configuration of `compare`."""

    images: File | None = Field(
        None,
        description="Folder of images, shown in the order of their names",
        json_schema_extra=option("images"),
    )
    video: File | None = Field(
        None, description="Video file; needs OpenCV", json_schema_extra=option("video")
    )
    models: Names = Field(
        ("reference", "champion"),
        description="Two detectors, comma-separated: aliases of the registered model, `reference` for what "
        "versions are compared with, ONNX files, or URIs of MLflow models",
        json_schema_extra=option("models"),
    )
    out: File = Field(
        Path("compare.gif"),
        description="File to write: .gif, or .mp4, which needs OpenCV",
        json_schema_extra=option("out"),
    )
    model: Name = Field(
        "person-detector", description="Registered model of the aliases", json_schema_extra=option("model")
    )
    classes: Names = Field(
        ("person",), description="Class names, comma-separated", json_schema_extra=option("classes")
    )
    threshold: float = Field(
        0.5, ge=0, le=1, description="Lowest score that is drawn", json_schema_extra=option("threshold")
    )
    max_frames: int = Field(
        60, ge=1, le=100_000, description="Largest number of frames", json_schema_extra=option("max_frames")
    )
    frame_s: float = Field(
        0.5, gt=0, le=60, description="Seconds of each image in the clip; a video keeps its own rate"
    )

    @model_validator(mode="after")
    def _one_source(self) -> "CompareConfig":
        if (self.images is None) == (self.video is None):
            raise ValueError("name one of --images and --video: the frames that both detectors see")
        if len(self.models) != 2:
            raise ValueError(
                f"--models names {len(self.models)} detectors, two are compared: write "
                "--models reference,champion"
            )
        if self.out.suffix.lower() not in (".gif", ".mp4"):
            raise ValueError(f"--out {self.out.name} has no known format: let it end in .gif or .mp4")
        return self
