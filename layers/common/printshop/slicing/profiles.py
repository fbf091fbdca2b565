"""Printer and material as the slicer's own configuration: readable files in `profiles/`, made for this shop.

A printer's file holds walls, speeds and machine limits, a material's file temperatures, fan and flow. What a row of
the database says (bed, height, nozzle, density) is not in them: the slicer gets it as arguments.

    profile = PrintProfile(printer="core-xy", material="petg", ...)
    load_files(profile)     [.../printers/core-xy.ini, .../materials/petg.ini]: load them in this order
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


def load_files(profile: PrintProfile) -> list[Path]:
    """The two files, printer then material, as a slicer is to load them: the later one wins.

    Raises Unprocessable UNKNOWN_PROFILE.
    """
    return [_file("printers", profile.printer), _file("materials", profile.material)]


def digest(profile: PrintProfile) -> str:
    """SHA-256, in hex, of what the two files say: a slice of before a change is no slice of after it.

    Raises Unprocessable UNKNOWN_PROFILE.
    """
    return _digest(profile.printer, profile.material)


def values(profile: PrintProfile) -> Mapping[str, str]:
    """Both files as one mapping of the slicer's keys. Raises Unprocessable UNKNOWN_PROFILE."""
    return _values(profile.printer, profile.material)


def highest_layer_mm(nozzle_um: int) -> float:
    """7/8 of the nozzle's width (0.35 mm at 0.4): a higher layer would not be pressed on the one below."""
    return nozzle_um * 7 // 8 / 1000


def check_layer_height(settings: SliceSettings, profile: PrintProfile) -> None:
    """Raises Unprocessable LAYER_HEIGHT_TOO_LARGE."""
    limit_mm = highest_layer_mm(profile.nozzle_um)
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
        # The slicer's files have no sections, which Python's reader asks for.
        parser.read_string(f"[profile]\n{path.read_text('utf-8')}", str(path))
    return dict(parser["profile"])
