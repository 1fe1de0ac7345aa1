"""Scripts run in the test's own process, which spares their start."""

import importlib
import sys
from unittest import mock

import pytest


@pytest.fixture(scope="session")
def run_example():
    """Function `(name, *arguments)` that runs a script's `main()`."""

    def run(name, *arguments):
        with mock.patch.object(sys, "argv", [name, *map(str, arguments)]):
            importlib.import_module(f"examples.{name}").main()

    return run
