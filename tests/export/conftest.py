import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "contract"))
from stand_in_fixtures import small_fp32, small_images, small_int8, standin

__all__ = ["small_fp32", "small_images", "small_int8", "standin"]
