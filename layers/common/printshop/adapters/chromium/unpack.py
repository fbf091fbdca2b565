"""Unpack a browser: python -S unpack.py PACKED TARGET

PACKED is made of frames that are unpacked side by side, each to its place (layers/chromium/install.sh). A process of
its own, since threads of ours would wait at every piece for the interpreter's lock, which the first document holds
while it is being set. Ends with 1 and a sentence on stderr when PACKED is damaged.
"""

import mmap
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from backports import zstd

CHUNK = 1 << 18


def frames(packed: memoryview) -> Iterator[tuple[memoryview, int]]:
    """Every frame, and where in the target it belongs."""
    start = place = 0
    while start < len(packed):
        size = zstd.get_frame_size(packed[start:])
        length = zstd.get_frame_info(packed[start:]).decompressed_size
        if length is None:
            sys.exit("the packed file does not say how large it is")
        yield packed[start : start + size], place
        start, place = start + size, place + length


def unpack(target: Path, frame: tuple[memoryview, int]) -> None:
    packed, place = frame
    decompressor = zstd.ZstdDecompressor()
    with target.open("r+b") as file:
        file.seek(place)
        for start in range(0, len(packed), CHUNK):
            file.write(decompressor.decompress(packed[start : start + CHUNK]))


try:
    target = Path(sys.argv[2])
    target.write_bytes(b"")
    with Path(sys.argv[1]).open("rb") as source:
        packed = memoryview(mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ))
        with ThreadPoolExecutor(os.process_cpu_count()) as pool:
            list(pool.map(partial(unpack, target), frames(packed)))
except zstd.ZstdError:
    sys.exit("the packed file is damaged or cut short")
except (OSError, ValueError) as error:  # ValueError: it is empty
    sys.exit(str(error))
