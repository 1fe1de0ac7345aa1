"""Processes of Python that need not import Keras again, which takes seconds.

They are forked from one that has imported it and done nothing else. What has
to be a process from its start, or on another backend, is none of these.
"""

import gc
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import types

_context = multiprocessing.get_context("forkserver")
# Keras imports TensorFlow to set a seed, on every backend.
_context.set_forkserver_preload(["torch", "keras", "tensorflow"])


class Process:
    """`python *arguments`; what it writes is in `stdout` when it has ended."""

    def __init__(self, arguments, env=None, cwd="."):
        self._files = [tempfile.NamedTemporaryFile("r+") for _ in range(2)]
        self._process = _context.Process(
            target=_main,
            args=(
                [str(argument) for argument in arguments],
                {**os.environ, **(env or {})},
                os.path.abspath(cwd),
                [file.name for file in self._files],
            ),
        )
        main = sys.modules["__main__"]
        # Else it would be run there, too.
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            self._process.start()
        finally:
            sys.modules["__main__"] = main
        self.kill = self._process.kill

    @property
    def returncode(self):
        return self._process.exitcode

    def wait(self, timeout=300):
        """A `subprocess.CompletedProcess`."""
        self._process.join(timeout)
        if self.returncode is None:
            self.kill()
            self._process.join()
            raise TimeoutError(f"It ran for more than {timeout} seconds.")
        output = [file.read() for file in self._files]
        for file in self._files:
            file.close()
        return subprocess.CompletedProcess([], self.returncode, *output)


def run(arguments, check=False, **options):
    """As `subprocess.run`, of `[sys.executable, *arguments]` too."""
    if arguments[0] == sys.executable:
        arguments = arguments[1:]
    done = Process(arguments, **options).wait()
    if check and done.returncode:
        raise RuntimeError(done.stderr)
    return done


def _main(arguments, environment, folder, outputs):
    # Collections look no more at what was imported, half a second each.
    gc.freeze()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, name in enumerate(outputs, 1):
        file = os.open(name, os.O_WRONLY)
        os.dup2(file, number)
        os.close(file)
    if arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(arguments[1], {"__name__": "__main__"})
    elif arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
