"""What PyTorch gains from memory that is kept."""

import ctypes

# Of glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4


def keep_freed_memory():
    """Lets this process keep large blocks that it frees, for the next step.

    The C library of Linux gives them back, and every page of the next block
    is fetched and cleared anew: a quarter of a step's time on a CPU. Other C
    libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
