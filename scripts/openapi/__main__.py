"""python -m scripts.openapi          writes functions/docs/openapi.json
python -m scripts.openapi --check  fails when that file is stale"""

import sys

from scripts.openapi import TARGET, build, written


def main() -> int:
    text = written(build())
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    print("functions/docs/openapi.json is stale: run make openapi", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
