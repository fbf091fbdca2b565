"""`make bench`: every speed claim as a ratio against a named rival of the same run."""

from benchmarks import imports, inspection, intake, pdf, requests, scale, slicing


def main() -> None:
    for part in (imports, intake, inspection, requests, scale, slicing, pdf):
        part.main()
        print()


if __name__ == "__main__":
    main()
