"""`make demo`, as a stranger runs it, and its figures against a slicer run by hand."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pypdf
import pytest

from scripts.sample_models import gallery_model
from tests.e2e.by_hand import found_by_hand

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("demo") / "output"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.demo", "--output", output],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return output


@pytest.fixture(scope="module")
def summary(demo: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((demo / "summary.json").read_text())
    return told


def text_of(path: Path) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(path.read_bytes())).pages)


def test_the_papers_carry_what_the_summary_says(demo: Path, summary: dict[str, Any]) -> None:
    before = demo / f"invoice-{summary['invoiceNumber']}-before.pdf"
    after = demo / f"invoice-{summary['invoiceNumber']}-after.pdf"
    for paper in (before, after):
        text = text_of(paper)
        assert summary["invoiceNumber"] in text
        for line in summary["lines"]:
            assert line["description"].split(",")[0] in " ".join(text.split())
        for cents in (summary["taxCents"], summary["totalCents"]):
            assert f"{cents / 100:,.2f}" in text
    assert summary["payUrl"].encode() in before.read_bytes() or summary["payUrl"] in links_of(before)
    assert "PAID" in text_of(after)
    assert summary["payUrl"] not in links_of(after)


def links_of(path: Path) -> set[str]:
    return {
        str(annotation.get_object()["/A"]["/URI"])
        for page in pypdf.PdfReader(path).pages
        for annotation in page.get("/Annots", [])
        if "/URI" in annotation.get_object().get("/A", {})
    }


def test_two_deliveries_made_one_payment(summary: dict[str, Any]) -> None:
    assert summary["webhookAnswers"] == [200, 200]
    assert [payment["amountCents"] for payment in summary["payments"]] == [summary["totalCents"]]


def test_grams_and_seconds_are_those_of_a_slicer_run_by_hand(summary: dict[str, Any], tmp_path: Path) -> None:
    assert found_by_hand(gallery_model("bunny.stl"), tmp_path, summary["grams"], summary["printSeconds"])
