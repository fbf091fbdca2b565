"""The slicer's configuration files in `profiles/`, one per kind of printer and one per material.

A printer's file holds walls, speeds and machine limits; a material's file holds temperatures, fan and flow. Bed,
height, nozzle and density are columns of the database: the slicer gets them as arguments.

    profile = PrintProfile(printer="core-xy", material="petg", ...)
    profile_files(profile)     # [.../printers/core-xy.ini, .../materials/petg.ini], to be loaded in this order
"""

import configparser
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal

from printshop.kernel.errors import Unprocessable
from printshop.slicing.settings import PrintProfile, SliceSettings, plain_number

FOLDER: Final = Path(__file__).with_name("profiles")

type _Kind = Literal["printers", "materials"]


def _names(kind: _Kind) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (FOLDER / kind).glob("*.ini")))


PRINTERS: Final = _names("printers")
MATERIALS: Final = _names("materials")


def profile_files(profile: PrintProfile) -> list[Path]:
    """The two files in the order to load them, printer then material: the later one wins.

    Raises Unprocessable UNKNOWN_PROFILE.
    """
    return [_file("printers", profile.printer), _file("materials", profile.material)]


def profile_digest(profile: PrintProfile) -> str:
    """SHA-256, in hex, of the two files' contents, so that a changed profile does not match a cached slice.

    Raises Unprocessable UNKNOWN_PROFILE.
    """
    return _digest(profile.printer, profile.material)


def profile_values(profile: PrintProfile) -> Mapping[str, str]:
    """Both files as one mapping of the slicer's keys. Raises Unprocessable UNKNOWN_PROFILE."""
    return _values(profile.printer, profile.material)


def max_layer_height_mm(nozzle_um: int) -> float:
    """7/8 of the nozzle's width (0.35 mm at 0.4 mm): a higher layer does not bond to the one below."""
    return nozzle_um * 7 // 8 / 1000


def check_layer_height(settings: SliceSettings, profile: PrintProfile) -> None:
    """Check that the printer's nozzle can print such layers. Raises Unprocessable LAYER_HEIGHT_TOO_LARGE."""
    limit_mm = max_layer_height_mm(profile.nozzle_um)
    if settings.layer_height > limit_mm:
        raise Unprocessable(
            "LAYER_HEIGHT_TOO_LARGE",
            f"A {plain_number(profile.nozzle_um / 1000)} mm nozzle prints layers of {plain_number(limit_mm)} mm "
            "at most; choose a smaller layer height, or a printer with a larger nozzle.",
            [{"field": "layerHeight"}],
        )


def _file(kind: _Kind, name: str) -> Path:
    known = PRINTERS if kind == "printers" else MATERIALS
    if name not in known:
        raise Unprocessable(
            "UNKNOWN_PROFILE",
            f"The slicer has no profile {name} for {kind}; choose one of: {', '.join(known)}.",
            [{"field": "profile"}],
        )
    return FOLDER / kind / f"{name}.ini"


@cache
def _digest(printer: str, material: str) -> str:
    content = [_file("printers", printer).read_bytes(), _file("materials", material).read_bytes()]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


@cache
def _values(printer: str, material: str) -> Mapping[str, str]:
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=True)
    for path in (_file("printers", printer), _file("materials", material)):
        # The slicer's files have no sections, but configparser needs one.
        parser.read_string(f"[profile]\n{path.read_text('utf-8')}", str(path))
    return dict(parser["profile"])
