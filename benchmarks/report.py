"""The results as tables of plain words."""

from benchmarks.rates import ratio_limit

RATIO_SLACK = 1.1
MEMORY_AIM = 1.05
ARRAY_FIT_AIM = 1.1


def text(results):
    """Tables of limits, aims, figures and whether they were met."""
    layers = results["settings"]["layers"]
    backends = results["backends"].items()
    limit = ratio_limit(layers)
    return "\n\n".join(
        [
            f"Time of the local step over backpropagation's, {layers} layers "
            f"of 3x3 convolution\n(limit: {2 * layers} of {3 * layers - 1} "
            "matrix products; on this machine: the limit from what the "
            "products take)",
            _table(
                "backend stack width limit on_this_machine aim measured "
                "quartiles verdict",
                [
                    _ratio_row(backend, entry, result["rates"], limit)
                    for backend, result in backends
                    for entry in result["step_time"]
                ],
            ),
            "Time of `fit` on shuffled arrays over that of Keras's own, with "
            "the same steps",
            _table(
                "backend images aim measured quartiles verdict",
                [
                    _array_fit_row(backend, result["array_fit"])
                    for backend, result in backends
                ],
            ),
            "Memory of a training step, deepest stack over shallowest "
            "(weights, gradients and optimizer state aside)",
            _table(
                "backend stack depths aim local verdict backpropagation",
                [
                    _memory_row(backend, entry)
                    for backend, result in backends
                    for entry in result["memory"]
                ],
            ),
            "GFLOP/s of the bare stack's needed products, next to what the "
            "backend reaches without training",
            _table(
                "backend width local backpropagation one_convolution "
                "square_matrices local/square",
                [
                    _rate_row(backend, entry, result["rates"])
                    for backend, result in backends
                    for entry in result["step_time"]
                    if entry["kind"] == "bare"
                ],
            ),
        ]
    )


def _ratio_row(backend, entry, rates, limit):
    convolution = _convolution(rates, entry["width"])
    aim = RATIO_SLACK * limit
    return [
        backend,
        entry["kind"],
        entry["width"],
        f"{limit:.3f}",
        f"{ratio_limit(entry['depth'], convolution['seconds']):.3f}",
        f"at most {aim:.3f}",
        f"{entry['ratio']:.3f}",
        "{:.3f} to {:.3f}".format(*entry["ratio_quartiles"]),
        _verdict(entry["ratio"], aim),
    ]


def _array_fit_row(backend, entry):
    return [
        backend,
        entry["images"],
        f"at most {ARRAY_FIT_AIM:.2f}",
        f"{entry['ratio']:.3f}",
        "{:.3f} to {:.3f}".format(*entry["ratio_quartiles"]),
        _verdict(entry["ratio"], ARRAY_FIT_AIM),
    ]


def _memory_row(backend, entry):
    return [
        backend,
        entry["kind"],
        f"{entry['depths'][0]} to {entry['depths'][-1]}",
        f"at most {MEMORY_AIM:.2f}",
        f"{entry['local_growth']:.3f}",
        _verdict(entry["local_growth"], MEMORY_AIM),
        f"{entry['backprop_growth']:.2f}",
    ]


def _rate_row(backend, entry, rates):
    convolution = _convolution(rates, entry["width"])
    square = rates["matrix_product_gflops"]
    return [
        backend,
        entry["width"],
        f"{entry['local_gflops']:.0f}",
        f"{entry['backprop_gflops']:.0f}",
        f"{convolution['gflops']['output']:.0f}",
        f"{square:.0f}",
        f"{entry['local_gflops'] / square:.0%}",
    ]


def _convolution(rates, width):
    (entry,) = [c for c in rates["convolutions"] if c["width"] == width]
    return entry


def _verdict(value, aim):
    return "hit" if value <= aim else f"missed by {value / aim - 1:.0%}"


def _table(head, rows):
    rows = [[word.replace("_", " ") for word in head.split()], *rows]
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(n) for cell, n in zip(row, widths)).rstrip()
        for row in rows
    )
