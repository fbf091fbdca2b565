"""The order in which two workers share the tests, so that each starts few services and both end together.

pytest-xdist (`--dist worksteal`) gives the first half of the list to the first worker and the rest to the second; who
has finished takes from the end of the other's half. So one half begins with the tests of the shared stack, the other
with those that start services of their own, and both end with tests that need none and run anywhere.
"""

from collections.abc import Iterable

import pytest

STARTS_NOTHING = ("tests/unit/", "tests/template/")


def in_two_halves(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The same tests, those of a module still together and in their order."""
    of_the_stack: list[pytest.Item] = []
    of_others: list[pytest.Item] = []
    anywhere: list[pytest.Item] = []
    for item in items:
        if item.nodeid.startswith(STARTS_NOTHING):
            anywhere.append(item)
        elif "stack" in getattr(item, "fixturenames", ()):
            of_the_stack.append(item)
        else:
            of_others.append(item)
    total = len(of_the_stack) + len(of_others) + len(anywhere)
    cut = max(0, total // 2 - len(of_the_stack))
    return [*of_the_stack, *anywhere[:cut], *of_others, *anywhere[cut:]]
