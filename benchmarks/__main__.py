"""`make bench`: measures every speed claim as a ratio against a named rival in the same run."""

from benchmarks import geometry, imports, inspection, pdf, requests, scale, slicing


def main() -> None:
    for part in (imports, geometry, inspection, requests, scale, slicing, pdf):
        part.main()
        print()


if __name__ == "__main__":
    main()
