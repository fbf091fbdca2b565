"""Foreign XML as a stream of elements, within limits.

expat reads; a document type (and with it every entity) is refused, as are deep nesting, tags of a megabyte and
thousands of different names, each of which expat would keep in memory.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn
from xml.parsers import expat

from printshop.intake.refusals import ModelRefused

MAX_DEPTH = 32
MAX_TAG_BYTES = 1024 * 1024
MAX_NAMES = 20_000

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
    parser.StartDoctypeDeclHandler = _refuse_doctype
    if namespace:
        parser.StartNamespaceDeclHandler = namespace
    depth = 0

    def descend(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise _unsafe(f"nests elements more than {MAX_DEPTH} deep")
        start(name, attributes)

    def ascend(name: str) -> None:
        nonlocal depth
        depth -= 1
        if end:
            end(name)

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


def _refuse_doctype(*_: object) -> NoReturn:
    raise _unsafe("declares a document type")


def _unsafe(reason: str) -> ModelRefused:
    return ModelRefused("MODEL_XML_UNSAFE", f"The XML of the 3MF {reason}; export the plain model again.")
