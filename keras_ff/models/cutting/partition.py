import bisect


def partition(totals, entries, number):
    """Cuts a row of units into blocks so that the dearest is the cheapest.

    Of the partitions that do so it is about the most even one. Takes time
    linear in the number of units times the number of blocks.

    Args:
        totals: list of ints, what all units up to each boundary cost; the
            first is zero.
        entries: list of ints, what a block costs besides its units if it
            begins at a boundary. No block may cost more for beginning one
            unit later.
        number: int, the number of blocks, at least 1 and no more than there
            are units.

    Returns:
        List of the boundaries at which blocks end, but for the last.
    """
    bound = _least_bound(totals, entries, number)
    ends = _farthest_ends(totals, entries, bound)
    last = len(totals) - 1
    needed = [0] * len(totals)
    for i in reversed(range(last)):
        needed[i] = 1 + needed[ends[i]]
    chosen, start = [], 0
    for left in range(number, 1, -1):
        even = (totals[last] - totals[start]) / left
        # What is left over must make blocks, enough and not too dear.
        start = min(
            (
                end
                for end in range(
                    start + 1, min(ends[start], last - left + 1) + 1
                )
                if needed[end] < left
            ),
            key=lambda end: abs(
                totals[end] - totals[start] + entries[start] - even
            ),
        )
        chosen.append(start)
    return chosen


def _least_bound(totals, entries, number):
    """What the dearest of so many blocks costs at least."""
    return bisect.bisect_left(
        range(totals[-1] + max(entries) + 1),
        True,
        key=lambda bound: _is_enough(totals, entries, bound, number),
    )


def _is_enough(totals, entries, bound, number):
    ends = _farthest_ends(totals, entries, bound)
    start = 0
    for _ in range(number):
        if ends[start] <= start:
            return False
        start = ends[start]
        if start == len(totals) - 1:
            return True
    return False


def _farthest_ends(totals, entries, bound):
    """Where a block ends at the latest, by where it begins."""
    ends, end = [], 0
    for start, (total, entry) in enumerate(zip(totals, entries)):
        end = max(end, start)
        while (
            end + 1 < len(totals) and totals[end + 1] - total + entry <= bound
        ):
            end += 1
        ends.append(end)
    return ends
