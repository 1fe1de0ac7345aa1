import subprocess
import sys

import pytest

PROGRAM = """
import resource

import numpy as np

from examples.common.allocator import keep_freed_memory


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        np.ones(2**22)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


first = faults()
keep_freed_memory()
faults()
print(first, faults())
"""


@pytest.mark.only_on("torch")
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_freed_memory_is_kept():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=True,
        capture_output=True,
        text=True,
    )
    first, after = map(int, run.stdout.split())
    # Pages of 8 times 32 MiB, or hardly any.
    assert after < first / 10
