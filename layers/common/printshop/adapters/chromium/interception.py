"""What a page may load: itself and what is written into it. Everything else is refused and logged.

The seed allowed stylesheets, fonts and scripts and blocked external images, media, XHR and fetch. Our pages carry
everything inline and run no script, so nothing at all may leave: a renderer that can fetch is a hole in the network.
"""

from dataclasses import dataclass
from typing import Final

INLINE: Final = ("data:", "about:")
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Request:
    """A request that Chromium paused. `kind` is DevTools' resource type: Document, Image, Stylesheet, …"""

    url: str
    kind: str

    @property
    def allowed(self) -> bool:
        return self.url.lower().startswith(INLINE)

    @property
    def refusal(self) -> str:
        """DevTools' error reason. A refused navigation is aborted, which leaves the page where it is; anything
        else would show an error page in its place."""
        return "Aborted" if self.kind == "Document" else "BlockedByClient"

    @property
    def shown(self) -> str:
        """The address for the log."""
        return self.url[:_SHOWN]
