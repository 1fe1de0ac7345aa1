import time

from keras_ff.models.cutting.partition import partition

_TRIALS = 3


def seconds(turn, item, device):
    """How long a turn takes with a batch, at best, when it is compiled."""
    turn.try_out(item, device)
    measured = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        turn.try_out(item, device)
        measured.append(time.perf_counter() - start)
    return min(measured)


def cut(measured, number):
    """Cuts a row into parts whose longest is as short as can be.

    Args:
        measured: list of seconds.
        number: int, how many parts.

    Returns:
        List of lists of the positions in each part.
    """
    totals = [0]
    for length in measured:
        totals.append(totals[-1] + max(1, round(length * 1e6)))
    ends = partition(totals, [0] * len(totals), number)
    bounds = [0, *ends, len(measured)]
    return [list(range(a, b)) for a, b in zip(bounds, bounds[1:])]
