def in_turn(visit, things, repeats, warm_up=1):
    """Visits things in turn, so that all see the same noise of the machine.

    Each goes first as often as the others.

    Args:
        visit: function of one thing.
        things: dictionary from a name to a thing.
        repeats: int, the rounds that count.
        warm_up: int, the rounds before them.

    Returns:
        Dictionary from a name to the list of what its visits returned.
    """
    names = list(things)
    found = {name: [] for name in names}
    for repeat in range(-warm_up, repeats):
        for name in names:
            result = visit(things[name])
            if repeat >= 0:
                found[name].append(result)
        names = names[1:] + names[:1]
    return found
