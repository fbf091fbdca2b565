"""When to give a model up: what its owner waits for, and a gateway that waits no longer, has to end."""

import time
from collections.abc import Callable, Iterable, Iterator

from printshop.geometry.errors import ModelError


class Deadline:
    """So many seconds of a clock from now on, looked at piece by piece."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends = clock() + seconds

    def watch[T](self, pieces: Iterable[T]) -> Iterator[T]:
        """The same pieces while there is time. Raises ModelError MODEL_TOO_COMPLEX."""
        for piece in pieces:
            if self._clock() > self._ends:
                raise ModelError(
                    "MODEL_TOO_COMPLEX",
                    "The model takes too long to read; reduce its triangles, or export it as binary STL.",
                )
            yield piece
