import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / part) for part in ("contract", "data")]
