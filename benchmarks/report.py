"""The results in words."""

from benchmarks.rates import ratio_limit

# What the library sets out to reach.
TIME_AIM = 1.1
MEMORY_AIM = 1.05
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def text(results):
    """The tables that `python -m benchmarks` prints."""
    return "\n".join([*_time(results), "", *_memory(results)])


def _time(results):
    layers = results["settings"]["layers"]
    limit = ratio_limit(layers)
    yield (
        f"Time of a local step over backpropagation, {layers} layers. If all "
        f"matrix products took equally long,\nthe limit would be {limit:.3f} "
        f"and the aim is {TIME_AIM * limit:.3f} or less. 'own limit' takes "
        "each product at its measured speed."
    )
    yield (
        f"{'backend':11}{'stack':11}{'width':>5}{'local':>11}{'backprop':>11}"
        f"{'ratio':>7}{'own limit':>11}{'of product rate':>17}  aim"
    )
    for backend, result in results["backends"].items():
        rates = result["rates"]
        own = {
            row["width"]: ratio_limit(layers, row["seconds"])
            for row in rates["convolutions"]
        }
        for row in result["step_time"]:
            share = row["local_gflops"] / rates["matrix_product_gflops"]
            yield (
                f"{NAMES[backend]:11}{row['kind']:11}{row['width']:5}"
                f"{1e3 * row['local_seconds']:8.1f} ms"
                f"{1e3 * row['backprop_seconds']:8.1f} ms"
                f"{row['ratio']:7.3f}{own[row['width']]:11.3f}{share:17.0%}"
                f"  {_verdict(row['ratio'], TIME_AIM * limit)}"
            )
    yield (
        "of product rate: the local step's arithmetic rate over that of a "
        "large matrix product on the same backend"
    )


def _memory(results):
    depths = results["settings"]["depths"]
    yield (
        "Memory of a training step in MiB, weights and gradients aside, by "
        f"number of layers. The aim: {depths[-1]} layers need at most "
        f"{MEMORY_AIM} times what {depths[0]} need."
    )
    yield (
        f"{'backend':11}{'method':10}"
        + "".join(f"{depth:>8}" for depth in depths)
        + f"{'growth':>8}  aim"
    )
    for backend, result in results["backends"].items():
        row = result["memory"]
        for method in ("local", "backprop"):
            growth = row[f"{method}_growth"]
            verdict = _verdict(growth, MEMORY_AIM) if method == "local" else ""
            yield (
                f"{NAMES[backend]:11}{method:10}"
                + "".join(f"{n / 2**20:8.1f}" for n in row[f"{method}_bytes"])
                + f"{growth:8.2f}  {verdict}"
            )
    for backend, result in results["backends"].items():
        yield f"{NAMES[backend]}: {result['memory']['meaning']}"


def _verdict(value, aim):
    return "hit" if value <= aim else f"missed by {value / aim - 1:.0%}"
