"""`make up`: serve the whole stack in the foreground until Ctrl-C; its addresses are in `.local/stack.json`."""

import argparse
import shutil
import signal
import sys
import threading

from devstack.stack import ROOT, Stack, remove_old_runs
from devstack.state import STATE, is_served, write_state


def main() -> int:
    parser = argparse.ArgumentParser(prog="make up", description=__doc__)
    parser.add_argument("--built", action="store_true", help="run .aws-sam/build and the layers alone")
    arguments = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    if is_served():
        print("This checkout serves a stack already; stop that `make up` first.", file=sys.stderr)
        return 1
    remove_old_runs()
    print("starting the stack …", flush=True)
    with Stack(built=arguments.built, fire_schedules=True, progress=_print) as stack:
        write_state(stack.describe())
        _print(
            f"addresses, keys and logins: {STATE.relative_to(ROOT)}   logs: {stack.run_dir.relative_to(ROOT)}"
        )
        _print(f"mail that was sent, as .eml: {stack.aws.outbox.relative_to(ROOT)}")
        _print("Ctrl-C stops everything")
        stopped.wait()
        _print("\nstopping …")
    STATE.unlink(missing_ok=True)
    shutil.rmtree(stack.run_dir, ignore_errors=True)
    return 0


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
