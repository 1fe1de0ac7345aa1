"""Benchmarks run in the test's own process; their processes are forked."""

import importlib
import sys

import pytest
import python_processes

from benchmarks.measure import processes


@pytest.fixture
def run_quickly(monkeypatch):
    """Function `(name, *arguments)` that runs a benchmark's `main()`."""

    def run(name, *arguments):
        monkeypatch.setattr(processes, "subprocess", python_processes)
        monkeypatch.setattr(sys, "argv", [name, "--quick", *arguments])
        importlib.import_module(name).main()

    return run
