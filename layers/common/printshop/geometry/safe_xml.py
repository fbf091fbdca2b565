"""Read untrusted XML as a stream of elements, within limits.

The parser is expat. Errors are: a document type (and with it every entity), deep nesting, tags of more than a
megabyte, too many or too long names and namespaces (expat keeps each of them in memory), and more elements than the
largest model needs.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import NoReturn
from xml.parsers import expat

from printshop.geometry.errors import ModelError

MAX_DEPTH = 32
MAX_TAG_BYTES = 1024 * 1024
MAX_NAMES = 20_000
MAX_NAME_CHARACTERS = 1_000_000
"""Limit on the length of all names together."""
MAX_URI_CHARACTERS = 256
"""Limit on a namespace, because expat repeats it in each name."""
MAX_ELEMENTS = 10_000_000
"""Limit on the elements that expat reads; elements of runs do not count."""
_UNFINISHED_BYTES = 1024

# The encodings that expat decodes itself. For others Python would search all of its codecs, some of which do not
# decode text.
_ENCODINGS = {"UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "US-ASCII", "ISO-8859-1"}

type Start = Callable[[str, Mapping[str, str]], None]
"""Called with `namespace name` and the attributes (attributes in a namespace are named in the same way)."""

type Run = Callable[[bytes], int]
"""Reads a run of plain child elements from the start of the bytes and returns the number of bytes read."""


def read_elements(
    chunks: Iterable[bytes],
    start: Start,
    end: Callable[[str], None] | None = None,
    namespace: Callable[[str | None, str | None], None] | None = None,
    runs: Mapping[str, Run] | None = None,
) -> None:
    """Call `start` and `end` for each element, `namespace` for each prefix declared. Raises ModelError.

    `runs` maps an element (`namespace name`) to a function that reads its children without expat, many at once. The
    function is called right after the element's start tag if that is plain (`<name>`, no attributes), so children
    without a prefix are in the same namespace. expat reads what the function leaves.
    """
    reader = _Reader(start, end, namespace, runs or {})
    try:
        for chunk in chunks:
            reader.feed(chunk)
        reader.finish()
    except expat.ExpatError as error:
        raise ModelError(
            "MODEL_3MF_INVALID", f"The 3MF holds XML that cannot be read ({error}); export the model again."
        ) from error


class _Reader:
    """An expat parser with limits, and the runs that are read without it."""

    def __init__(
        self,
        start: Start,
        end: Callable[[str], None] | None,
        namespace: Callable[[str | None, str | None], None] | None,
        runs: Mapping[str, Run],
    ) -> None:
        self._start, self._end, self._namespace, self._runs = start, end, namespace, runs
        self._depth = self._elements = self._namespaces = self._parsed_bytes = 0
        self._names = self._name_characters = 0
        self._opened, self._opened_at = "", -1
        self._run: Run | None = None
        self._rest = b""
        tags = b"|".join(b"<%b>" % re.escape(name.split()[-1]).encode() for name in runs)
        self._plain_tag = re.compile(tags or b"(?!)")
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.XmlDeclHandler = _check_declaration
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartElementHandler = self._descend
        parser.EndElementHandler = self._ascend

    def feed(self, chunk: bytes) -> None:
        data, self._rest = self._rest + chunk, b""
        while data:
            if self._run:
                data = data[self._run(data) :]
                if len(data) < _UNFINISHED_BYTES and b">" not in data:
                    self._rest = data  # the start of a tag that the next chunk completes
                    return
            tag = self._plain_tag.search(data)
            piece = data[: tag.end()] if tag else data
            data = data[len(piece) :]
            self._parse(piece)
            # expat reported an element at this place, so this is the tag and not the same text in a comment.
            begins = tag and self._opened_at == self._parsed_bytes - len(tag[0])
            self._run = self._runs[self._opened] if begins else None

    def finish(self) -> None:
        self._parse(self._rest)
        self._parser.Parse(b"", True)

    def _parse(self, data: bytes) -> None:
        self._parser.Parse(data, False)
        self._parsed_bytes += len(data)
        if self._parsed_bytes - self._parser.CurrentByteIndex > MAX_TAG_BYTES:
            raise _unsafe("holds a tag of more than a megabyte")
        names = self._parser.intern
        new = len(names) - self._names
        self._names += new
        # The name of the default namespace's prefix is None.
        self._name_characters += sum(map(len, filter(None, islice(reversed(names), new))))
        if self._names > MAX_NAMES or self._name_characters > MAX_NAME_CHARACTERS:
            raise _unsafe(f"uses more than {MAX_NAMES} different names, or endless ones")

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._namespaces += 1
        if self._namespaces > MAX_NAMES:
            raise _unsafe(f"declares more than {MAX_NAMES} namespaces")
        if uri and len(uri) > MAX_URI_CHARACTERS:
            raise _unsafe("names a namespace endlessly")
        if self._namespace:
            self._namespace(prefix, uri)

    def _descend(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH:
            raise _unsafe(f"nests elements more than {MAX_DEPTH} deep")
        if self._elements > MAX_ELEMENTS:
            raise _unsafe(f"holds more than {MAX_ELEMENTS} elements")
        if name in self._runs:
            self._opened, self._opened_at = name, self._parser.CurrentByteIndex
        self._start(name, attributes)

    def _ascend(self, name: str) -> None:
        self._depth -= 1
        if self._end:
            self._end(name)


def _check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding and encoding.upper() not in _ENCODINGS:
        raise _unsafe(f"claims the encoding {encoding[:40]}")


def _refuse_doctype(*_: object) -> NoReturn:
    raise _unsafe("declares a document type")


def _unsafe(reason: str) -> ModelError:
    return ModelError("MODEL_XML_UNSAFE", f"The XML of the 3MF {reason}; export the plain model again.")
