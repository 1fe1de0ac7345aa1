"""The built site: `make docs-test` builds it and names its folder."""

import os
import pathlib

import pytest


@pytest.fixture(scope="session")
def site():
    if "SITE" not in os.environ:
        pytest.skip("needs the built site: make docs-test")
    return pathlib.Path(os.environ["SITE"])
