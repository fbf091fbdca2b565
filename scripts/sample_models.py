"""The sample models that PrusaSlicer installs."""

from functools import lru_cache
from pathlib import Path

FOLDERS = (Path("/usr/share/PrusaSlicer/shapes"), Path("/usr/local/share/PrusaSlicer/shapes"))


@lru_cache(maxsize=1)
def gallery() -> dict[str, Path]:
    """Every model of the gallery by file name. Raises FileNotFoundError where there is none."""
    models = {
        path.name: path
        for folder in FOLDERS
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in {".stl", ".3mf"}
    }
    if not models:
        raise FileNotFoundError("PrusaSlicer's gallery is not installed; install Debian's prusa-slicer.")
    return models


def gallery_model(name: str) -> Path:
    """A model of the gallery, such as "bunny.stl"."""
    return gallery()[name]
