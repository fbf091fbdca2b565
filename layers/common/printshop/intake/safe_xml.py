"""Foreign XML as a stream of elements, within limits.

expat reads; a document type (and with it every entity) is refused, as are deep nesting, tags of a megabyte,
thousands of different names or namespaces, each of which expat would keep in memory, and more elements than a
model of the largest size can need.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn
from xml.parsers import expat

from printshop.intake.refusals import ModelRefused

MAX_DEPTH = 32
MAX_TAG_BYTES = 1024 * 1024
MAX_NAMES = 20_000
MAX_ELEMENTS = 20_000_000

# What expat reads by itself. For others Python would look among all of its codecs, of which some are no encodings.
_ENCODINGS = {"UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "US-ASCII", "ISO-8859-1"}

type Start = Callable[[str, Mapping[str, str]], None]
"""Called with `namespace name` and the attributes (those in a namespace as `namespace name`, too)."""


def read_elements(
    chunks: Iterable[bytes],
    start: Start,
    end: Callable[[str], None] | None = None,
    namespace: Callable[[str | None, str | None], None] | None = None,
) -> None:
    """Call `start` and `end` for each element, `namespace` for each prefix declared. Raises ModelRefused."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.XmlDeclHandler = _check_declaration
    parser.StartDoctypeDeclHandler = _refuse_doctype
    depth = elements = namespaces = 0

    def declare(prefix: str | None, uri: str | None) -> None:
        nonlocal namespaces
        namespaces += 1
        if namespaces > MAX_NAMES:
            raise _unsafe(f"declares more than {MAX_NAMES} namespaces")
        if namespace:
            namespace(prefix, uri)

    def descend(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth, elements
        depth += 1
        elements += 1
        if depth > MAX_DEPTH:
            raise _unsafe(f"nests elements more than {MAX_DEPTH} deep")
        if elements > MAX_ELEMENTS:
            raise _unsafe(f"holds more than {MAX_ELEMENTS} elements")
        start(name, attributes)

    def ascend(name: str) -> None:
        nonlocal depth
        depth -= 1
        if end:
            end(name)

    parser.StartNamespaceDeclHandler = declare
    parser.StartElementHandler = descend
    parser.EndElementHandler = ascend
    fed = 0
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
            fed += len(chunk)
            if fed - parser.CurrentByteIndex > MAX_TAG_BYTES:
                raise _unsafe("holds a tag of more than a megabyte")
            if len(parser.intern) > MAX_NAMES:
                raise _unsafe(f"uses more than {MAX_NAMES} different names")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ModelRefused(
            "MODEL_3MF_INVALID", f"The 3MF holds XML that cannot be read ({error}); export the model again."
        ) from error


def _check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding and encoding.upper() not in _ENCODINGS:
        raise _unsafe(f"claims the encoding {encoding[:40]}")


def _refuse_doctype(*_: object) -> NoReturn:
    raise _unsafe("declares a document type")


def _unsafe(reason: str) -> ModelRefused:
    return ModelRefused("MODEL_XML_UNSAFE", f"The XML of the 3MF {reason}; export the plain model again.")
