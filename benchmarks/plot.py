"""The results as a picture."""

from benchmarks.rates import ratio_limit
from benchmarks.report import NAMES

# Okabe and Ito's colours, which colour-blind people tell apart.
COLOURS = {"tensorflow": "#D55E00", "jax": "#0072B2", "torch": "#009E73"}


def save(results, path):
    """Draws time and memory into a PNG file."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(
        figsize=(12, 5), dpi=150, layout="constrained"
    )
    time_axes, memory_axes = figure.subplots(1, 2)
    _time(time_axes, results)
    _memory(memory_axes, results)
    for axes in (time_axes, memory_axes):
        axes.legend(frameon=False, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    figure.savefig(path)


def _time(axes, results):
    settings = results["settings"]
    for backend, result in results["backends"].items():
        for kind, style in (("bare", "-"), ("published", "--")):
            rows = [r for r in result["step_time"] if r["kind"] == kind]
            axes.plot(
                [row["width"] for row in rows],
                [row["ratio"] for row in rows],
                style,
                marker="o",
                color=COLOURS[backend],
                label=f"{NAMES[backend]}, {kind} layers",
            )
    limit = ratio_limit(settings["layers"])
    axes.axhline(limit, color="black", linewidth=1)
    axes.text(
        settings["widths"][0],
        limit,
        f"limit {limit:.3f}",
        va="top",
        fontsize=10,
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(settings["widths"])
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("channels of every layer")
    axes.set_ylabel("time of a local step / backpropagation")
    axes.set_title(f"Time, {settings['layers']} layers")


def _memory(axes, results):
    depths = results["settings"]["depths"]
    for backend, result in results["backends"].items():
        for method, style in (("local", "-"), ("backprop", ":")):
            axes.plot(
                depths,
                [n / 2**20 for n in result["memory"][f"{method}_bytes"]],
                style,
                marker="o",
                color=COLOURS[backend],
                label=f"{NAMES[backend]}, {method}",
            )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(depths)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_xlabel("layers")
    axes.set_ylabel("MiB, weights and gradients aside")
    axes.set_title("Memory of a training step")
