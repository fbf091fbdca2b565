"""Migrations from what was edited in `supabase/schemas/`; devstack/schema/migration.py says how.

python -m scripts.migration add_due_reminders     # make migration NAME=add_due_reminders
python -m scripts.migration --release             # make release-migrations
"""

import argparse
import sys
from pathlib import Path

from devstack.schema import MigrationError, generate, mark_released

PROJECT = Path(__file__).resolve().parents[1] / "supabase"


def main() -> int:
    parser = argparse.ArgumentParser(prog="migration")
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--release", action="store_true", help="record every migration as released")
    options = parser.parse_args()
    try:
        if options.release:
            added = mark_released(PROJECT)
            print("\n".join(f"Released {name}" for name in added) or "Every migration was released already.")
            return 0
        path = generate(PROJECT, options.name)
    except (MigrationError, ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    if path is None:
        print("Nothing changed: the migrations make what the schemas declare.")
    else:
        print(f"Read and complete {path.relative_to(PROJECT.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
