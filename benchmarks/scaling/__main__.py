"""How four ways of training scale, from 2 to 4096 devices, on paper.

    python -m benchmarks.scaling

From what every layer of a chain of local convolutions takes on this machine,
the size of its weights and outputs, and given links: bytes that a device sends
a step, what of them hides behind computation, and the share of the time in
which a device computes. Then a check: layers in two stages here, beside what
the same sums say.
"""

import json
from pathlib import Path

from benchmarks import layer_parallel
from benchmarks import script
from benchmarks.scaling import picture
from benchmarks.scaling import ways

# Of an H100's NVLink and of what connects machines; latency in seconds.
LINKS = {
    "450 GB/s": ways.Link(450e9, 5e-6),
    "12.5 GB/s (100 Gb)": ways.Link(12.5e9, 10e-6),
    "1.25 GB/s (10 Gb)": ways.Link(1.25e9, 30e-6),
}
DEVICES = [2**i for i in range(1, 13)]


def parse_arguments():
    parser = script.make_parser("benchmarks.scaling", __doc__.splitlines()[0])
    parser.set_defaults(backends=["torch"], stages=[2])
    layer_parallel.add_network(parser, layers=16, steps=12)
    parser.add_argument(
        "--faster",
        type=float,
        default=100.0,
        help="how many times as fast as here a device computes",
    )
    return script.parse(parser, layer_parallel.QUICK)


def main():
    settings = parse_arguments()
    results = script.measure_backends(
        "benchmarks.layer_parallel", settings, "scaling.json"
    )
    (found,) = results["backends"].values()
    measured = found[-1]["layer_seconds"]
    results["links"] = {name: link._asdict() for name, link in LINKS.items()}
    results["check"] = check(found, settings["steps"])
    results["costs"] = costs(network(settings, measured))
    path = Path(settings["output"]) / "scaling.json"
    path.write_text(json.dumps(results, indent=2))
    picture.save(results, path.with_suffix(".png"))
    print(table(results))


def network(settings, measured):
    """The layers, on a device as many times as fast as given."""
    width, size = settings["width"], settings["size"]
    outputs = settings["batch_size"] * size * size * width
    return [
        ways.Layer(
            seconds=seconds / settings["faster"],
            weights=4.0 * 9 * width * width,
            activation=4.0 * outputs,
        )
        for seconds in measured
    ]


def costs(layers):
    """By link and way, what a step costs at every number of devices."""
    return {
        name: {
            way: [
                {
                    "devices": devices,
                    **cost._asdict(),
                    "efficiency": cost.efficiency,
                }
                for devices in DEVICES
                for cost in [function(layers, devices, link)]
            ]
            for way, function in ways.WAYS.items()
        }
        for name, link in LINKS.items()
    }


def check(found, steps):
    """Two stages as measured here, and as the sums say.

    In memory of one machine nothing is sent. The slowest stage sets the pace;
    the others add what fills and empties the row.
    """
    two = found[-1]
    layers = [ways.Layer(s, 0.0, 0.0) for s in two["layer_seconds"]]
    lengths = [
        sum(x.seconds for x in stage)
        for stage in ways.stages_of(layers, two["stages"])
    ]
    expected = steps * max(lengths) + sum(lengths) - max(lengths)
    return {
        "stages": two["stages"],
        "measured_seconds": two["seconds"],
        "expected_seconds": expected,
    }


def table(results):
    rows = []
    for link, by_way in results["costs"].items():
        rows.append(f"Links of {link}")
        rows.append(
            f"{'':31}{'devices':>8}{'MB sent':>10}{'hidden':>8}{'computes':>10}"
        )
        for way, costs_of_way in by_way.items():
            for row in costs_of_way[::3] + costs_of_way[-1:]:
                rows.append(
                    f"{way:31}{row['devices']:8}{row['sent'] / 1e6:10.2f}"
                    f"{row['hidden']:8.2f}{row['efficiency']:10.2f}"
                )
    found = results["check"]
    rows.append(
        f"An epoch in {found['stages']} stages here: "
        f"{found['measured_seconds']:.2f} s measured, "
        f"{found['expected_seconds']:.2f} s by the sums"
    )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
