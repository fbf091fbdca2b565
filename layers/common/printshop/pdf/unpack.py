"""Unpack a browser: python -S unpack.py PACKED TARGET

A process of its own, since a thread of ours would wait at every piece for the interpreter's lock, which the first
document holds while it is being set. Ends with 1 and a sentence on stderr when PACKED is damaged.
"""

import sys
from pathlib import Path

from backports import zstd

CHUNK = 1 << 18

decompressor = zstd.ZstdDecompressor()
try:
    with Path(sys.argv[1]).open("rb") as source, Path(sys.argv[2]).open("wb") as target:
        while chunk := source.read(CHUNK):
            target.write(decompressor.decompress(chunk))
except (zstd.ZstdError, EOFError):  # EOFError: something follows after its end
    sys.exit("the packed file is damaged")
except OSError as error:
    sys.exit(str(error))
if not decompressor.eof:
    sys.exit("the packed file is cut short")
