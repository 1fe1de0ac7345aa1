def save(results, path):
    """Draws the efficiency of every way over the number of devices."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    links = list(results["links"])
    figure, axes = pyplot.subplots(
        1, len(links), figsize=(4 * len(links), 3.4), sharey=True, squeeze=False
    )
    for axis, link in zip(axes[0], links):
        for (way, rows), style in zip(
            results["costs"][link].items(), ("--", "-", ":", "-."), strict=True
        ):
            axis.plot(
                [row["devices"] for row in rows],
                [row["efficiency"] for row in rows],
                style,
                label=way,
            )
        axis.set_xscale("log", base=2)
        axis.set_ylim(0, 1.05)
        axis.set_title(link)
        axis.set_xlabel("devices")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("share of the time that computes")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
