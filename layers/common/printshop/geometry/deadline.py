"""A time limit for reading a model, because the customer and the gateway wait only so long."""

import time
from collections.abc import Callable, Iterable, Iterator

from printshop.geometry.errors import ModelError


class Deadline:
    """A number of seconds from now, by the given clock, checked between two chunks of a model."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + seconds

    def watch[T](self, chunks: Iterable[T]) -> Iterator[T]:
        """Yield the same chunks until the time is over. Raises ModelError MODEL_TOO_COMPLEX."""
        for chunk in chunks:
            if self._clock() > self._ends_at:
                raise ModelError(
                    "MODEL_TOO_COMPLEX",
                    "The model takes too long to read; reduce its triangles, or export it as binary STL.",
                )
            yield chunk
