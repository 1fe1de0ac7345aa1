"""Links of the checkout, on the site."""

import pytest

pytestmark = pytest.mark.only_on("torch")
pytest.importorskip("nbclient", reason="needs the extra `docs`: make docs")

from website import pages  # noqa: E402


def test_packages_are_linked_to_their_reference():
    text, copied = pages._relink(pages.DOCS / "methods" / "hff.md")
    assert "[`SmoothMarginLoss`](../api/losses.md)" in text
    assert not any(path.is_relative_to(pages.PACKAGE) for path in copied)
    text, _ = pages._relink(pages.DOCS / "in_the_box.md")
    assert "[`keras_ff`](api/index.md)" in text
