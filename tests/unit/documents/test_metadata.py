import pytest

from printshop.documents.metadata import describe
from tests.unit.documents.documents import business, invoice

ENDS = [
    b"",
    b"%PDF-1.7\n%%EOF\n",
    b"trailer\n<</Size 9\n/Root 1 0 R\n/Info 2 0 R>>\nstartxref\n99999\n%%EOF\n",
]


@pytest.mark.parametrize("contents", ENDS)
def test_a_file_that_ends_otherwise_than_chromiums_is_left_as_it_came(contents: bytes) -> None:
    document = invoice()
    assert describe(contents, document, business(), document.issue_date) == contents
