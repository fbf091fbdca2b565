"""An SVG written anew from an allow-list: shapes, text and gradients, and nothing that runs, loads or explodes.

What is not on the list is left out with all that it holds. The text is parsed without entities; CSS may name only
colours, transforms and fragments of the picture itself; what `use`, clip paths and masks would draw is counted first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from printshop.kernel.errors import Unprocessable

MAX_DEPTH = 64
MAX_ELEMENTS = 20_000
MAX_DRAWN = 50_000
"""Elements that the picture draws when every reference is followed."""

SVG = "http://www.w3.org/2000/svg"
_XLINK_HREF = "http://www.w3.org/1999/xlink href"

_GRADIENTS = {"linearGradient", "radialGradient"}
_REFERRING = {"use", *_GRADIENTS}
_TEXTUAL = {"text", "tspan", "title", "desc", "style"}
_ELEMENTS = {
    *("svg g defs symbol path rect circle ellipse line polyline polygon clipPath mask stop".split()),
    *_REFERRING,
    *_TEXTUAL,
}
_ATTRIBUTES = set(
    """
    id class style transform viewBox preserveAspectRatio version x y x1 y1 x2 y2 cx cy r rx ry fx fy fr dx dy rotate
    width height d points pathLength offset gradientUnits gradientTransform spreadMethod clipPathUnits maskUnits
    maskContentUnits textLength lengthAdjust fill fill-opacity fill-rule stroke stroke-width stroke-opacity
    stroke-linecap stroke-linejoin stroke-miterlimit stroke-dasharray stroke-dashoffset opacity color display
    visibility overflow clip-path clip-rule mask stop-color stop-opacity font-family font-size font-style font-weight
    font-variant font-stretch letter-spacing word-spacing text-anchor text-decoration dominant-baseline
    alignment-baseline baseline-shift paint-order vector-effect shape-rendering text-rendering color-interpolation
    mix-blend-mode isolation type
    """.split()
)
_FUNCTIONS = {
    *(
        "rgb rgba hsl hsla matrix translate translatex translatey scale scalex scaley rotate skewx skewy calc".split()
    ),
    "",
}
_FRAGMENT = re.compile(r"#[^\s\"'()<>\\]+")
_URL = re.compile(r"url\(([^()]*)\)", re.IGNORECASE)
_WORD_AT_THE_END = re.compile(r"[\w-]*\Z")


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    children: "list[_Element | str]" = field(default_factory=list)


def clean_svg(contents: bytes) -> bytes:
    """The picture, of what is on the list alone. Raises Unprocessable LOGO_NOT_AN_IMAGE or LOGO_SVG_UNSAFE."""
    root = _Reader().read(contents)
    drawing = _Drawing(root)
    for element in _all(root):
        if element.name == "style":
            drawing.must_only_colour("".join(str(child) for child in element.children))
    drawing.must_stay_small()
    return _written(root, is_root=True).encode()


class _Reader:
    """Builds the tree of what is allowed."""

    def __init__(self) -> None:
        self._root: _Element | None = None
        self._open: list[_Element] = []
        self._count = self._depth = self._left_out = 0

    def read(self, contents: bytes) -> _Element:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.buffer_text = True
        try:
            parser.Parse(contents, True)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise _not_an_image(f"its XML cannot be read ({error})") from error
        if self._root is None:
            raise _not_an_image("its root is no <svg>")
        return self._root

    def _doctype(self, _name: str, _system: str | None, _public: str | None, has_subset: int) -> None:
        if has_subset:
            raise _unsafe("it declares entities; save it as plain SVG")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._count += 1
        self._depth += 1
        if self._count > MAX_ELEMENTS or self._depth > MAX_DEPTH:
            raise _unsafe("it has too many elements; simplify it")
        namespace, _, local = name.rpartition(" ")
        if self._root is None and (namespace, local) != (SVG, "svg"):
            raise _not_an_image("its root is no <svg>")
        if self._left_out or namespace != SVG or local not in _ELEMENTS:
            self._left_out += 1
            return
        element = _Element(local, _allowed(local, attributes))
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        self._depth -= 1
        if self._left_out:
            self._left_out -= 1
        else:
            self._open.pop()

    def _text(self, text: str) -> None:
        if not self._left_out and self._open and self._open[-1].name in _TEXTUAL:
            self._open[-1].children.append(text)


def _allowed(element: str, attributes: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in attributes.items()
        if name in _ATTRIBUTES and len(value) <= 500_000 and _harmless(value)
    }
    reference = attributes.get("href", attributes.get(_XLINK_HREF, ""))
    if element in _REFERRING and _FRAGMENT.fullmatch(reference):
        kept["href"] = reference
    return kept


def _harmless(css: str) -> bool:
    """Whether a value names only colours, transforms and fragments: no rule, no escape, no other function."""
    if "@" in css or "\\" in css or "<" in css:
        return False
    without_urls = _URL.sub(lambda url: " " if _FRAGMENT.fullmatch(_address(url)) else "url(", css)
    return all(_called(before) in _FUNCTIONS for before in without_urls.split("(")[:-1])


def _called(before: str) -> str:
    """The function's name in front of a parenthesis. The longest that we know has ten letters."""
    found = _WORD_AT_THE_END.search(before.rstrip()[-20:])
    return found[0].lower() if found else ""


def _address(url: re.Match[str]) -> str:
    return url[1].strip().strip("\"'")


class _Drawing:
    """Counts what is drawn when references are followed: ten uses of ten uses of ten are a thousand."""

    def __init__(self, root: _Element) -> None:
        self._root = root
        self._by_id: dict[str, _Element] = {}
        for element in _all(root):
            if identity := element.attributes.get("id"):
                self._by_id.setdefault(identity, element)
        self._weights: dict[int, int] = {}
        self._under_way: set[int] = set()

    def must_only_colour(self, style_sheet: str) -> None:
        """A style sheet may refer to gradients alone: whom its rules meet is not looked into."""
        named = (self._by_id.get(_address(url)[1:]) for url in _URL.finditer(style_sheet))
        referring = [target for target in named if target and target.name not in _GRADIENTS]
        if referring or not _harmless(style_sheet):
            raise _unsafe("its style sheet does more than colour; save it with presentation attributes")

    def must_stay_small(self) -> None:
        if self._weight(self._root, 0) > MAX_DRAWN:
            raise _unsafe("it repeats its parts too often; simplify it")

    def _weight(self, element: _Element, depth: int) -> int:
        known = self._weights.get(id(element))
        if known is not None:
            return known
        if id(element) in self._under_way:
            raise _unsafe("a part of it is made of itself")
        if depth > MAX_DEPTH * 4:
            raise _unsafe("its parts refer to each other too deeply")
        self._under_way.add(id(element))
        weight = 1
        for child in element.children:
            if isinstance(child, _Element):
                weight += self._weight(child, depth + 1)
        for target in self._targets(element):
            weight += self._weight(target, depth + 1)
        self._under_way.discard(id(element))
        self._weights[id(element)] = weight
        return weight

    def _targets(self, element: _Element) -> list[_Element]:
        names = [value[1:] for name, value in element.attributes.items() if name == "href"]
        for name, value in element.attributes.items():
            if name != "href":
                names += [_address(url)[1:] for url in _URL.finditer(value)]
        found = [self._by_id[name] for name in names if name in self._by_id]
        return [target for target in found if target.name not in _GRADIENTS or element.name in _GRADIENTS]


def _all(root: _Element) -> list[_Element]:
    """In the order of the text: of two elements of one id, the first counts."""
    found, waiting = [], [root]
    while waiting:
        element = waiting.pop()
        found.append(element)
        waiting += [child for child in reversed(element.children) if isinstance(child, _Element)]
    return found


def _written(element: _Element, *, is_root: bool = False) -> str:
    attributes = {"xmlns": SVG, **element.attributes} if is_root else element.attributes
    shown = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    if not element.children:
        return f"<{element.name}{shown}/>"
    inner = "".join(
        escape(child) if isinstance(child, str) else _written(child) for child in element.children
    )
    return f"<{element.name}{shown}>{inner}</{element.name}>"


def _not_an_image(reason: str) -> Unprocessable:
    return Unprocessable("LOGO_NOT_AN_IMAGE", f"This is no picture: {reason}. Send PNG, JPEG, WebP or SVG.")


def _unsafe(reason: str) -> Unprocessable:
    return Unprocessable("LOGO_SVG_UNSAFE", f"This SVG cannot be kept: {reason}.")
