"""WeasyPrint on the same page, run by its own environment's Python: HTML in a file, a render a line of input.

.local/bench/bin/python weasyprint_rival.py PAGE.html < lines
"""

import sys
import time
from pathlib import Path

from weasyprint import HTML  # type: ignore[import-not-found]
from weasyprint.text.fonts import FontConfiguration  # type: ignore[import-not-found]

page = Path(sys.argv[1]).read_text()
fonts = FontConfiguration()
for _ in sys.stdin:
    start = time.perf_counter()
    HTML(string=page).write_pdf(font_config=fonts)
    print(time.perf_counter() - start, flush=True)
