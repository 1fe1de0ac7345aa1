from benchmarks import script

# bare: nothing but convolutions, so that the limit in matrix products holds.
# published: CAW-Conv with its dropout, normalization and pooled head.
KINDS = ("bare", "published")

# A few seconds a backend: shows that everything runs, measures nothing.
QUICK = {
    "widths": [8],
    "layers": 2,
    "depths": [2],
    "memory_stacks": ["bare"],
    "batch_size": 2,
    "repeats": 1,
    "matrix_size": 64,
    "images": 64,
}


def parse_arguments():
    """The settings of a run, from the command line."""
    parser = script.make_parser(
        "benchmarks",
        "Measures the time and the memory of a local step next to "
        "backpropagation through the same layers.",
    )
    add = parser.add_argument
    add("--widths", nargs="+", type=int, default=[16, 32, 64])
    add("--layers", type=int, default=8, help="layers of the timed stacks")
    add(
        "--depths",
        nargs="+",
        type=int,
        default=[4, 8, 16, 32, 64],
        help="layers of the stacks whose memory is measured",
    )
    add(
        "--memory-stacks",
        nargs="+",
        choices=KINDS,
        default=list(KINDS),
        help="kinds of stack whose memory is measured",
    )
    add("--batch-size", type=int, default=32)
    add("--repeats", type=int, default=9, help="visits to every method")
    add("--matrix-size", type=int, default=2048)
    add("--images", type=int, default=8192, help="of `fit` on arrays")
    return script.parse(parser, QUICK)
