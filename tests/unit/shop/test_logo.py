"""Logos: what is kept of a picture, and what of an SVG."""

import base64
import io
import random
import subprocess
import sys

import pytest
from PIL import Image, PngImagePlugin

from printshop.documents.schemas import Business
from printshop.kernel.errors import ApiError
from printshop.shop.logo import MAX_KEPT_BYTES, as_data_url
from printshop.shop.svg import clean_svg

HEAD = b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


def kept(contents: bytes) -> Image.Image:
    encoded = as_data_url(contents).removeprefix("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def svg(inner: str) -> str:
    return clean_svg(HEAD + inner.encode() + b"</svg>").decode()


def refused(inner: str) -> str:
    with pytest.raises(ApiError) as caught:
        svg(inner)
    return caught.value.code


def test_transparency_stays_and_metadata_goes() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "shot at home")
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    image = Image.new("RGBA", (10, 20), (255, 0, 0, 128))
    with kept(saved(image, "PNG", pnginfo=info, exif=exif, icc_profile=b"profile", dpi=(300, 300))) as logo:
        assert (logo.mode, logo.size, logo.getpixel((5, 5))) == ("RGBA", (10, 20), (255, 0, 0, 128))
        assert logo.info == {}
        assert not logo.getexif()


def test_a_turned_photograph_is_kept_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with kept(saved(Image.new("RGB", (40, 20)), "JPEG", exif=exif)) as logo:
        assert logo.size == (20, 40)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK"])
def test_every_kind_of_colour_is_taken(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    with kept(saved(Image.new(mode, (12, 12)), kind)) as logo:
        assert logo.mode in {"RGB", "RGBA"}


def test_what_does_not_compress_is_made_smaller_until_it_fits() -> None:
    noise = Image.frombytes("RGB", (800, 400), random.Random(1).randbytes(800 * 400 * 3))
    with kept(saved(noise, "JPEG", quality=60)) as logo:
        assert logo.width < 800
        assert len(saved(logo, "PNG")) <= MAX_KEPT_BYTES * 1.1


def test_the_papers_take_what_is_kept() -> None:
    for contents in (saved(Image.new("RGB", (5, 5)), "PNG"), HEAD + b"</svg>"):
        url = as_data_url(contents)
        assert Business(name="Shop", logo_data_url=url).logo_data_url == url


def test_a_broken_picture_is_refused_and_never_a_defect() -> None:
    source = random.Random(7)
    image = Image.frombytes("RGB", (40, 30), source.randbytes(40 * 30 * 3))
    for kind in ("PNG", "JPEG", "WEBP"):
        whole = saved(image, kind)
        for _ in range(150):
            broken = bytearray(whole)
            for _ in range(source.randint(1, 8)):
                broken[source.randrange(len(broken))] = source.randrange(256)
            del broken[source.randint(1, len(broken)) :]
            try:
                as_data_url(bytes(broken))
            except ApiError as refusal:
                assert refusal.code in {"LOGO_NOT_AN_IMAGE", "LOGO_TOO_MANY_PIXELS"}


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = saved(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(bomb) < 100_000
    with pytest.raises(ApiError) as caught:
        as_data_url(bomb)
    assert caught.value.status == 422


def test_the_image_library_is_loaded_by_pictures_alone() -> None:
    program = (
        "import sys\n"
        "from printshop.shop import logo, reads, writes\n"
        "logo.as_data_url(b'<svg xmlns=\"http://www.w3.org/2000/svg\"/>')\n"
        "assert 'PIL' not in sys.modules\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        "<foreignObject><p xmlns='http://www.w3.org/1999/xhtml'>x</p></foreignObject>",
        "<image href='https://example.com/a.png'/>",
        "<image href='data:image/png;base64,AAAA'/>",
        "<animate attributeName='href' to='javascript:1'/>",
        "<set attributeName='onload' to='x'/>",
        "<a href='javascript:1'><path d='M0 0'/></a>",
        "<filter id='f'><feImage href='https://example.com'/></filter>",
        "<metadata>who made it</metadata>",
        "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>1</x:script>",
        "<?xml-stylesheet href='https://example.com/a.css'?>",
        "<!-- a comment -->",
    ],
)
def test_what_runs_or_loads_is_left_out(inner: str) -> None:
    assert svg(inner) == '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.mark.parametrize(
    "attribute",
    [
        'onload="x()"',
        'onclick="x()"',
        'href="https://example.com"',
        'xlink:href="https://example.com"',
        'fill="url(https://example.com/#a)"',
        "fill=\"URL( '//example.com/a' )\"",
        'style="background:url(https://example.com)"',
        'style="fill:u\\72l(https://example.com)"',
        'style="fill:url(https://example.com"',
        "style=\"background:image-set('https://example.com' 1x)\"",
        'style="width:expression(alert(1))"',
        "style=\"@import 'https://example.com'\"",
        'xml:base="https://example.com/"',
        'data-x="1"',
    ],
)
def test_an_attribute_that_runs_or_loads_is_left_out(attribute: str) -> None:
    assert svg(f"<path d='M0 0' {attribute}/>") == (
        '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
    )


def test_a_drawing_keeps_its_look() -> None:
    inner = (
        "<style>.a>path{fill:url(#g)}</style>"
        '<defs><linearGradient id="g"><stop offset="0" stop-color="rgb(1,2,3)"/></linearGradient>'
        '<clipPath id="c"><rect width="1" height="1"/></clipPath></defs>'
        '<g class="a" clip-path="url(#c)" transform="translate(1 2) rotate(3)" id="p">'
        '<path d="M0 0" style="fill:url(\'#g\');stroke:#fff"/></g>'
        '<text x="1">A &amp; B &lt;</text>'
    )
    assert svg(inner) == f'<svg xmlns="http://www.w3.org/2000/svg">{inner}</svg>'.replace(
        ".a>path", ".a&gt;path"
    )
    assert '<use href="#p"/>' in svg('<g id="p"/><use xlink:href="#p"/>')


@pytest.mark.parametrize(
    "style",
    [
        "@import url(https://example.com);",
        "@font-face{src:url(https://example.com)}",
        "a{background:url(https://example.com)}",
        "a{background:u\\72l(x)}",
        "rect{mask:url(#m)}",
    ],
)
def test_a_style_sheet_that_does_more_than_colour_is_refused(style: str) -> None:
    assert refused(f'<mask id="m"/><style>{style}</style>') == "LOGO_SVG_UNSAFE"


def test_a_drawing_that_multiplies_itself_is_refused() -> None:
    def tenfold(make: str, attribute: str) -> str:
        layers = ['<g id="l0"><path d="M0 0"/></g>']
        layers += [
            make.format(id=f"l{n}", uses="".join(attribute.format(of=f"l{n - 1}") for _ in range(10)))
            for n in range(1, 9)
        ]
        return "".join(layers)

    assert refused(tenfold('<g id="{id}">{uses}</g>', '<use href="#{of}"/>')) == "LOGO_SVG_UNSAFE"
    masks = tenfold('<mask id="{id}">{uses}</mask>', '<rect style="mask:url(#{of})"/>')
    assert refused(masks) == "LOGO_SVG_UNSAFE"
    assert refused('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>') == "LOGO_SVG_UNSAFE"


@pytest.mark.parametrize(
    "contents",
    [
        b"<svg",
        b"<svg/>",
        b"<html/>",
        b"<" * 1000,
        b"\xef\xbb\xbf <x/>",
        b'<?xml version="1.0" encoding="no-such"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        b'<svg xmlns="http://www.w3.org/2000/svg">&unknown;</svg>',
    ],
)
def test_what_is_no_svg_is_no_image(contents: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        as_data_url(contents)
    assert caught.value.code == "LOGO_NOT_AN_IMAGE"


@pytest.mark.parametrize(
    "contents",
    [
        b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + HEAD + b"&b;</svg>",
        b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + HEAD + b"<text>&x;</text></svg>",
        HEAD + b"<g>" * 70 + b"</g>" * 70 + b"</svg>",
        HEAD + b"<g/>" * 20_001 + b"</svg>",
    ],
    ids=["expanding", "external", "deep", "many"],
)
def test_an_svg_that_declares_or_overflows_is_refused(contents: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        clean_svg(contents)
    assert caught.value.code == "LOGO_SVG_UNSAFE"


def test_the_worst_text_is_judged_at_once() -> None:
    for text in ("url(" * 100_000, "a" * 400_000, "url(" + " " * 400_000, "a " * 200_000, "(" * 400_000):
        svg(f"<path style='{text}'/>")
