"""Scripts run in the test's own process, which spares their start."""

import importlib
import pathlib
import sys
from unittest import mock

import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))


@pytest.fixture(scope="session")
def run_example():
    """Function `(name, *arguments)` that runs a script's `main()`."""

    def run(name, *arguments):
        with mock.patch.object(sys, "argv", [name, *map(str, arguments)]):
            importlib.import_module(name).main()

    return run
