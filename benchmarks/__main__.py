"""`make bench`: every speed claim as a ratio against a named rival of the same run."""

from benchmarks import imports, inspection, pdf, requests, scale, slicing


def main() -> None:
    for part in (imports, requests, scale, slicing, inspection, pdf):
        part.main()
        print()


if __name__ == "__main__":
    main()
