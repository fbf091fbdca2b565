"""What a PDF says of itself: title, author, subject, keywords, its document's day, and the same as XMP.

Chromium writes the title alone, and links without a name. The rest is appended as an incremental update (ISO 32000-1,
7.5.6): the pages stay byte for byte what was printed, and twenty take as long as one. A library would read and write
the whole file.
"""

import hashlib
import re
from datetime import date
from typing import Final
from xml.sax.saxutils import escape

from printshop.documents.schemas import Business, Paper
from printshop.documents.template import full_title, paper_title

PRODUCER: Final = "printshop, Chromium, Skia/PDF"

_TRAILER: Final = re.compile(
    rb"trailer\n<</Size (\d+)\n/Root (\d+) 0 R\n/Info (\d+) 0 R>>\nstartxref\n(\d+)\n%%EOF\n?\Z"
)
_LINK_BEGINS: Final = b"<</Type /Annot\n/Subtype /Link\n"
_LINK: Final = re.compile(
    rb"(\d+) 0 obj\n(<</Type /Annot\n/Subtype /Link\n[^<>]*?/A <</Type /Action\n/S /URI\n/URI (\([^\n]*\))>>"
    rb"[^<>]*)>>\nendobj"
)
_NOT_IN_XML: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_XMP: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" \
xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
   <dc:format>application/pdf</dc:format>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
   <dc:creator><rdf:Seq><rdf:li>{author}</rdf:li></rdf:Seq></dc:creator>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{subject}</rdf:li></rdf:Alt></dc:description>
   <dc:identifier>{keywords}</dc:identifier>
   <pdf:Keywords>{keywords}</pdf:Keywords>
   <pdf:Producer>{producer}</pdf:Producer>
   <xmp:CreateDate>{day}T00:00:00Z</xmp:CreateDate>
   <xmp:ModifyDate>{day}T00:00:00Z</xmp:ModifyDate>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def describe(contents: bytes, document: Paper, business: Business, day: date) -> bytes:
    """A PDF as Chromium printed it, with the document's metadata; its dates and its identifier depend on `day` alone.

    Returned as it came if its end is not what Chromium writes: a PDF without an author is better than none.
    """
    trailer = _TRAILER.search(contents, max(0, len(contents) - 256))
    if trailer is None:
        return contents
    size, root, info, start = (int(number) for number in trailer.groups())
    catalog = _object(contents, start, root)
    if catalog is None or b"/Metadata" in catalog:
        return contents
    words = {
        "title": full_title(document, business),
        "author": business.name,
        "subject": f"{paper_title(document, business)} for {document.client.company or document.client.name}",
        "keywords": document.number,
        "producer": PRODUCER,
    }
    xmp = _XMP.format(day=day, **{name: _xml(text) for name, text in words.items()}).encode()
    bodies = {
        info: _info(words, day),
        root: catalog[:-2] + f"\n/Metadata {size} 0 R>>".encode(),
        size: b"<</Type /Metadata\n/Subtype /XML\n/Length %d>> stream\n%b\nendstream" % (len(xmp), xmp),
    }
    bodies |= _named_links(contents)
    return _appended(contents, bodies, previous=start, root=root, info=info)


def _named_links(contents: bytes) -> dict[int, bytes]:
    """The links of the pages, each with its address as what a screen reader says of it."""
    named = {}
    at = contents.find(_LINK_BEGINS)
    while at >= 0:
        if link := _LINK.match(contents, contents.rfind(b"\n", 0, at - 1) + 1):
            named[int(link[1])] = b"%b\n/Contents %b>>" % (link[2], link[3])
        at = contents.find(_LINK_BEGINS, at + 1)
    return named


def _info(words: dict[str, str], day: date) -> bytes:
    pinned = f"(D:{day:%Y%m%d}000000+00'00')".encode()
    texts = (b"/%b %b" % (name.capitalize().encode(), _text(text)) for name, text in words.items())
    return b"<<%b\n/CreationDate %b\n/ModDate %b>>" % (b"\n".join(texts), pinned, pinned)


def _object(contents: bytes, start: int, number: int) -> bytes | None:
    """A dictionary in the file's one table of objects, of 20 bytes a line (7.5.4)."""
    table = re.compile(rb"xref\n0 \d+\n").match(contents, start)
    if table is None:
        return None
    entry = contents[table.end() + 20 * number :][:10]
    body = re.compile(rb"%d 0 obj\n(<<.*?>>)\nendobj" % number, re.DOTALL).match(contents, int(entry or 0))
    return body and body[1]


def _appended(contents: bytes, bodies: dict[int, bytes], *, previous: int, root: int, info: int) -> bytes:
    """The file with new and changed objects behind its end, and a table of them that continues the `previous` one."""
    update = bytearray() if contents.endswith(b"\n") else bytearray(b"\n")
    table = []
    for number, body in sorted(bodies.items()):
        table.append(b"%d 1\n%010d 00000 n \n" % (number, len(contents) + len(update)))
        update += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(contents) + len(update)
    identifier = hashlib.sha256(b"".join(bodies.values())).hexdigest()[:32].encode()
    update += b"xref\n%b" % b"".join(table)
    update += b"trailer\n<</Size %d\n/Root %d 0 R\n/Info %d 0 R\n" % (max(bodies) + 1, root, info)
    update += b"/Prev %d\n/ID [<%b> <%b>]>>\nstartxref\n%d\n%%%%EOF\n" % (
        previous,
        identifier,
        identifier,
        start,
    )
    return contents + bytes(update)


def _text(text: str) -> bytes:
    """A text string (7.9.2.2): UTF-16 in hexadecimal, in which nothing can end it."""
    return b"<FEFF%b>" % text.encode("utf-16-be", "ignore").hex().upper().encode()


def _xml(text: str) -> str:
    return escape(_NOT_IN_XML.sub("", text))
