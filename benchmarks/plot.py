from benchmarks.rates import ratio_limit
from benchmarks.report import RATIO_SLACK

# Okabe and Ito's colors, told apart with any color vision; markers too.
STYLES = {
    "tensorflow": ("#D55E00", "o"),
    "jax": ("#0072B2", "s"),
    "torch": ("#009E73", "^"),
}
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
MIB = 2**20


def save(results, path):
    """Draws step time and memory against backpropagation into a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(15, 5), dpi=120)
    limit = ratio_limit(results["settings"]["layers"])
    axes[1].sharey(axes[0])
    for axis, kind in zip(axes, ("bare", "published")):
        _draw_ratios(axis, results["backends"], kind, limit)
    _draw_memory(axes[2], results["backends"])
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def _draw_ratios(axis, backends, kind, limit):
    for backend, result in backends.items():
        color, marker = STYLES[backend]
        entries = [e for e in result["step_time"] if e["kind"] == kind]
        ratios = [e["ratio"] for e in entries]
        spread = [
            [r - e["ratio_quartiles"][0] for r, e in zip(ratios, entries)],
            [e["ratio_quartiles"][1] - r for r, e in zip(ratios, entries)],
        ]
        axis.errorbar(
            [str(e["width"]) for e in entries],
            ratios,
            yerr=spread,
            color=color,
            marker=marker,
            capsize=3,
            label=NAMES[backend],
        )
    axis.axhline(1, color="gray", linewidth=1)
    axis.axhline(
        RATIO_SLACK * limit,
        color="black",
        linestyle="--",
        label=f"aim, {RATIO_SLACK * limit:.3f}",
    )
    axis.axhline(
        limit, color="black", linestyle=":", label=f"limit, {limit:.3f}"
    )
    axis.set_ylim(0, max(axis.get_ylim()[1], 1.6))
    axis.set_xlabel("channels")
    axis.set_ylabel("local step / backpropagation step")
    what = {
        "bare": "bare convolutions",
        "published": "CAW-Conv with dropout and normalization",
    }
    axis.set_title(f"Step time, {what[kind]}")
    axis.legend()


def _draw_memory(axis, backends):
    for backend, result in backends.items():
        color, marker = STYLES[backend]
        (entry,) = [e for e in result["memory"] if e["kind"] == "bare"]
        for method, line in (("backprop", "--"), ("local", "-")):
            axis.plot(
                entry["depths"],
                [value / MIB for value in entry[f"{method}_bytes"]],
                color=color,
                marker=marker,
                linestyle=line,
                label=f"{NAMES[backend]}, {method}",
            )
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.xaxis.set_major_formatter("{x:.0f}")
    axis.yaxis.set_major_formatter("{x:.0f}")
    axis.set_xlabel("layers")
    axis.set_ylabel("MiB of a training step")
    axis.set_title("Memory, bare convolutions")
    axis.legend()
