"""The table and the plot of what was measured."""

AIM = 1.1
MEMORY_AIM = 1.05
# Okabe and Ito's colours, which colour-blind people tell apart.
COLOURS = {"tensorflow": "#E69F00", "jax": "#0072B2", "torch": "#009E73"}
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def limit(layers):
    """The local step's share of backpropagation's matrix products."""
    return 2 * layers / (3 * layers - 1)


def table(results):
    """The measurements in words, as lines of text."""
    layers = results["options"]["layers"]
    bound = limit(layers)
    lines = [
        f"Time of a local step over backpropagation, {layers} layers: the "
        f"limit is {bound:.3f}, the aim {AIM * bound:.3f} or less",
        f"{'backend':11}{'stack':11}{'width':>6}{'local':>11}"
        f"{'backprop':>11}{'ratio':>7}{'of limit':>9}{'rate':>7}  aim",
    ]
    for backend, result in results["backends"].items():
        peak = result["rates"]["matrix_product_gflops"]
        for row in result["step_time"]:
            hit = "hit" if row["ratio"] <= AIM * bound else "missed"
            lines.append(
                f"{NAMES[backend]:11}{row['kind']:11}{row['width']:6}"
                f"{1e3 * row['local_seconds']:8.1f} ms"
                f"{1e3 * row['backprop_seconds']:8.1f} ms"
                f"{row['ratio']:7.3f}{row['ratio'] / bound:9.2f}"
                f"{row['local_gflops'] / peak:7.0%}  {hit}"
            )
    lines += [
        "rate: arithmetic rate of the local step over that of a large matrix "
        "product",
        "",
        "Memory of a training step, weights and gradients aside: the deepest "
        f"stack may need {MEMORY_AIM} times what the shallowest needs",
        f"{'backend':11}{'stack':11}{'method':10}"
        + "".join(f"{d:>9}" for d in results["options"]["depths"])
        + "  growth  aim",
    ]
    for backend, result in results["backends"].items():
        for row in result["memory"]:
            for method in ("local", "backprop"):
                growth = row[f"{method}_growth"]
                aim = ""
                if method == "local":
                    aim = "hit" if growth <= MEMORY_AIM else "missed"
                lines.append(
                    f"{NAMES[backend]:11}{row['kind']:11}{method:10}"
                    + "".join(
                        f"{n / 2**20:5.0f} MiB" for n in row[f"{method}_bytes"]
                    )
                    + f"{growth:8.2f}  {aim}"
                )
    return "\n".join(lines)


def plot(results, path):
    """Draws time and memory into a PNG file."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(
        figsize=(12, 5), dpi=150, layout="constrained"
    )
    time_axes, memory_axes = figure.subplots(1, 2)
    bound = limit(results["options"]["layers"])
    for backend, result in results["backends"].items():
        for kind, style in (("bare", "-"), ("published", "--")):
            rows = [r for r in result["step_time"] if r["kind"] == kind]
            time_axes.plot(
                [row["width"] for row in rows],
                [row["ratio"] for row in rows],
                style,
                marker="o",
                color=COLOURS[backend],
                label=f"{NAMES[backend]}, {kind}",
            )
        (row,) = [r for r in result["memory"] if r["kind"] == "bare"]
        for method, style in (("local", "-"), ("backprop", ":")):
            memory_axes.plot(
                row["depths"],
                [n / 2**20 for n in row[f"{method}_bytes"]],
                style,
                marker="o",
                color=COLOURS[backend],
                label=f"{NAMES[backend]}, {method}",
            )
    time_axes.axhline(bound, color="black", linewidth=1)
    time_axes.annotate(
        f"limit {bound:.3f}",
        (1, bound),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
    )
    time_axes.axhline(1, color="grey", linewidth=1)
    time_axes.set_xscale("log", base=2)
    time_axes.set_xticks(results["options"]["widths"])
    time_axes.xaxis.set_major_formatter("{x:.0f}")
    time_axes.set_ylim(bottom=0)
    time_axes.set_xlabel("channels")
    time_axes.set_ylabel("local step / backpropagation")
    time_axes.set_title("Time of a training step")
    memory_axes.set_xscale("log", base=2)
    memory_axes.set_yscale("log")
    memory_axes.set_xticks(results["options"]["depths"])
    memory_axes.xaxis.set_major_formatter("{x:.0f}")
    memory_axes.set_xlabel("layers")
    memory_axes.set_ylabel("MiB, weights and gradients aside")
    memory_axes.set_title("Memory of a training step (bare stack)")
    for axes in (time_axes, memory_axes):
        axes.legend(frameon=False, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    figure.savefig(path)
