import statistics


def mean_and_spread(values, decimals=2, sign=""):
    """Mean and standard deviation of the runs of several seeds, as text.

    Args:
        values: list of numbers.
        decimals: int, how many are shown.
        sign: `"+"` if the mean shows its sign.
    """
    if not values:
        return "-"
    mean = f"{statistics.mean(values):{sign}.{decimals}f}"
    if not values[1:]:
        return mean
    return f"{mean} ± {statistics.stdev(values):.{decimals}f}"
