import inspect
import re
import shutil
from pathlib import Path

import pytest

from printshop.adapters.chromium.browser import PrintPage
from printshop.documents.formats import Figures
from printshop.documents.loaders import read_invoice
from printshop.documents.metadata import describe
from printshop.documents.qr import qr_code
from printshop.documents.schemas import PrintDetails
from printshop.documents.service import pin_dates
from printshop.documents.template import FOLDER, LIBRARIES, LOOKS, render_html, template_version
from printshop.kernel.currency import currency_of
from printshop.kernel.money import decimals


def test_the_template_version_is_stable_within_a_release() -> None:
    assert template_version() == template_version()
    assert re.fullmatch(r"[0-9a-f]{16}", template_version())


SHAPING = [*LOOKS, *(f"documents/templates/{file.name}" for file in sorted(FOLDER.iterdir()))]


@pytest.mark.parametrize("name", SHAPING)
def test_another_look_is_another_template_version(tmp_path: Path, name: str) -> None:
    copied = shutil.copytree(FOLDER.parents[1], tmp_path / "printshop")
    assert template_version(copied) == template_version()
    changed = shutil.copytree(copied, tmp_path / "changed")
    with (changed / name).open("a") as file:
        file.write(" ")
    assert template_version(changed) != template_version()


def test_the_template_version_covers_the_page_the_print_and_the_finished_file() -> None:
    parts = (
        render_html,
        Figures,
        PrintDetails,
        read_invoice,
        qr_code,
        currency_of,
        decimals,
        PrintPage,
        pin_dates,
        describe,
    )
    folder = FOLDER.parents[1]
    assert {
        Path(inspect.getfile(inspect.unwrap(part))).relative_to(folder).as_posix() for part in parts
    } == set(LOOKS)
    assert set(LIBRARIES) == {"babel", "jinja2", "segno"}
