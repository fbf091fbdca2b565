"""Each page setting and PDF option, as it goes over the wire and as the page sees it."""

from collections.abc import Callable
from typing import Any

import pytest

from printshop.adapters.chromium.installation import Chromium
from printshop.adapters.chromium.renderer import Renderer
from printshop.documents.template import render_html
from tests.integration.documents.probes import Run, Tapped, ask_page, page, read
from tests.unit.documents.documents import business, invoice

MM = 1 / 25.4


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory, chromium: Chromium, run: Run) -> Tapped:
    """The traffic of two documents on one browser."""
    tapped = Tapped(tmp_path_factory.mktemp("wire"), chromium, None)
    renderer = Renderer(tapped.chromium)

    async def two() -> None:
        await renderer.pdf(render_html(invoice(1, number="INV-0001"), business()))
        await renderer.pdf(render_html(invoice(1, number="INV-0002"), business()))
        await renderer.close()

    run(two())
    return tapped


@pytest.mark.parametrize(
    ("setting", "value"), [("width", 1200), ("height", 1600), ("deviceScaleFactor", 2), ("mobile", False)]
)
def test_the_viewport_is_the_seeds(wire: Tapped, setting: str, value: object) -> None:
    (viewport,) = wire.parameters("Emulation.setDeviceMetricsOverride")
    assert viewport[setting] == value


def test_there_is_no_touch(wire: Tapped) -> None:
    assert wire.parameters("Emulation.setTouchEmulationEnabled") == [{"enabled": False}]


def test_the_medium_is_print(wire: Tapped) -> None:
    assert wire.parameters("Emulation.setEmulatedMedia") == [{"media": "print"}]


def test_scripts_are_off(wire: Tapped) -> None:
    assert wire.parameters("Emulation.setScriptExecutionDisabled") == [{"value": True}]


def test_every_request_is_intercepted(wire: Tapped) -> None:
    assert wire.parameters("Fetch.enable") == [{"patterns": [{"urlPattern": "*"}]}]


def test_the_page_is_set_up_before_the_first_document_and_once(wire: Tapped) -> None:
    methods = [method for method, _ in wire.commands]
    first = methods.index("Page.setDocumentContent")
    for method in ("Fetch.enable", "Emulation.setScriptExecutionDisabled", "Emulation.setEmulatedMedia"):
        assert methods.index(method) < first
        assert methods.count(method) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("paperWidth", pytest.approx(210 * MM)),
        ("paperHeight", pytest.approx(297 * MM)),
        ("marginTop", pytest.approx(20 * MM)),
        ("marginBottom", pytest.approx(20 * MM)),
        ("marginLeft", pytest.approx(16 * MM)),
        ("marginRight", pytest.approx(16 * MM)),
        ("printBackground", True),
        ("preferCSSPageSize", True),
        ("generateTaggedPDF", True),
        ("generateDocumentOutline", True),
        ("displayHeaderFooter", False),
        ("landscape", False),
        ("scale", 1.0),
    ],
)
def test_the_pdf_option_is_the_seeds(wire: Tapped, option: str, value: object) -> None:
    prints = wire.parameters("Page.printToPDF")
    assert len(prints) == 2
    assert all(options[option] == value for options in prints)


def test_a_print_waits_for_fonts_and_pictures_and_not_for_an_idle_network(wire: Tapped) -> None:
    methods = [method for method, _ in wire.commands]
    first = methods.index("Page.printToPDF")
    assert methods[first - 1] == "Runtime.evaluate"
    (waiting, *_) = wire.parameters("Runtime.evaluate")
    assert "document.fonts.ready" in waiting["expression"]
    assert "decode()" in waiting["expression"]
    assert waiting["awaitPromise"] is True
    assert "Page.setLifecycleEventsEnabled" not in methods


def test_after_each_document_the_page_is_wiped_and_its_memory_collected(wire: Tapped) -> None:
    shown = [parameters["html"] for parameters in wire.parameters("Page.setDocumentContent")]
    assert ["INV-0001" in html for html in shown] == [True, False, False, False]
    assert ["INV-0002" in html for html in shown] == [False, False, True, False]
    assert shown[1] == shown[3] == ""
    methods = [method for method, _ in wire.commands]
    assert methods.count("HeapProfiler.collectGarbage") == 2
    assert methods.index("HeapProfiler.collectGarbage") < methods.index(
        "Page.printToPDF", methods.index("Page.printToPDF") + 1
    )


SEEN_BY_THE_PAGE = {
    "matchMedia('print').matches": True,
    "matchMedia('screen').matches": False,
    "devicePixelRatio": 2,
    "innerWidth": 1200,
    "innerHeight": 1600,
    "navigator.maxTouchPoints": 0,
    "matchMedia('(pointer: coarse)').matches": False,
    "document.body.innerHTML": "",
    "document.title": "",
    "location.href": "about:blank",
}


@pytest.fixture(scope="module")
def seen_by_the_page(chromium: Chromium, run: Run) -> dict[str, object]:
    """What the page answers after a document. A second DevTools session resets some settings when it leaves: so all
    is asked at once, of a browser that nobody uses any more."""
    renderer = Renderer(chromium)

    async def look() -> Any:
        await renderer.pdf(page("<h1>Secret</h1>"))
        answers = await ask_page(renderer.endpoint or "", f"[{', '.join(SEEN_BY_THE_PAGE)}]")
        await renderer.close()
        return dict(zip(SEEN_BY_THE_PAGE, answers, strict=True))

    answers: dict[str, object] = run(look())
    return answers


@pytest.mark.parametrize(("expression", "value"), SEEN_BY_THE_PAGE.items())
def test_the_page_sees_its_settings_and_nothing_of_the_last_document(
    seen_by_the_page: dict[str, object], expression: str, value: object
) -> None:
    assert seen_by_the_page[expression] == value


def test_scripts_of_a_document_do_not_run(renderer: Renderer, run: Run) -> None:
    script = "<script>document.body.innerHTML = 'changed by script'</script>"
    event = '<img src="data:," onerror="document.body.innerHTML = \'changed by event\'" alt="">'
    text = read(run(renderer.pdf(page(f"<p>unchanged</p>{script}{event}")))).pages[0].extract_text()
    assert text.strip() == "unchanged"


def test_a_page_size_in_css_is_preferred(renderer: Renderer, run: Run) -> None:
    contents = run(renderer.pdf(page("x", "<style>@page { size: A5 }</style>")))
    width, height = read(contents).pages[0].mediabox[2:]
    assert (round(float(width)), round(float(height))) == (420, 595)


def test_without_one_a_page_is_a4_with_the_seeds_margins(renderer: Renderer, run: Run) -> None:
    line = "<style>*{margin:0}</style><div style='width:100%;height:100mm;background:#f00'></div>"
    sheet = read(run(renderer.pdf(page(line)))).pages[0]
    assert [float(side) for side in sheet.mediabox] == pytest.approx([0, 0, 595.28, 841.89], abs=0.7)
    drawn = sheet.get_contents()
    assert drawn is not None
    # Backgrounds are printed: a red one, 178 mm wide.
    assert b"1 0 0 rg" in drawn.get_data()


def test_backgrounds_are_printed(renderer: Renderer, run: Run) -> None:
    sheet = read(run(renderer.pdf(render_html(invoice(1), business())))).pages[0]
    drawn = sheet.get_contents()
    assert drawn is not None
    assert b".0431 .3098 .3333 rg" in drawn.get_data()


def test_two_renderers_have_pages_of_their_own(
    make_renderer: Callable[..., Renderer], renderer: Renderer, run: Run
) -> None:
    other = make_renderer()
    run(other.pdf(page("other")))
    run(renderer.pdf(page("shared")))
    assert other.endpoint != renderer.endpoint
