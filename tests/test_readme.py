"""The README's figures are those of committed results."""

import json
import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
pytestmark = pytest.mark.only_on("torch")


def read(name):
    return json.loads((RESULTS / name).read_text())


@pytest.fixture(scope="module")
def row():
    """A row of the table of what is measured, by a part of it."""
    text = (ROOT / "README.md").read_text().partition("## Measured")[2]
    rows = re.findall(r"^\|.*\|$", text, flags=re.M)[2:]
    assert len(rows) == 5

    def find(part):
        (found,) = [row for row in rows if part in row]
        return found

    return find


@pytest.mark.parametrize(
    "part, run",
    [
        ("HFF, six", "hff-whitened_cnn-cifar10-2-epochs"),
        ("CAW-Conv's", "caw-whitened_cnn-cifar10-6-epochs"),
    ],
)
def test_two_cores(row, part, run):
    result = read(f"two_cores/{run}/metrics.json")
    assert f"**{result['test_accuracy_last_epoch']:.1%}**".replace(
        "%", " %"
    ) in row(part)
    assert f"{result['epochs']} epochs" in row(part)
    assert f"{result['minutes']['taken']:.0f} minutes" in row(part)


def test_gpu(row):
    lines = (RESULTS / "gpu" / "h200.jsonl").read_text().splitlines()
    runs = [
        line
        for line in map(json.loads, lines)
        if line["kind"] == "result" and line.get("method") == "prototype"
    ]
    accuracies = [f"{run['test_accuracy_last_epoch']:.2f}" for run in runs]
    assert f"| {', '.join(accuracies)} % ({len(runs)} seeds) |" in row("H200")
    seconds = sorted(run["seconds"] for run in runs)[1]
    assert f"{runs[0]['epochs']} epochs, {seconds:.0f} s" in row("H200")


def test_beside_backpropagation(row):
    report = (RESULTS / "recipes" / "report.md").read_text()
    for recipe in ("caw", "backprop"):
        name = f"{recipe}-tiny_cnn-fashion_mnist"
        (line,) = [
            line for line in report.splitlines() if f"| {name} |" in line
        ]
        _, width, epochs, seeds, last, *_ = line.strip("| ").split(" | ")
        assert f"{last} %" in row("TinyCNN")
        assert f"{width} of its width, {epochs} epochs, {seeds} seeds" in row(
            "TinyCNN"
        )


def test_memory(row):
    bytes_of = {
        run["way"]: run["peak_bytes"] - run["gradient_bytes"]
        for run in read("memory.json")["rows"]
        if (run["network"], run["backend"], run["image_size"])
        == ("resnet50", "torch", 64)
    }
    share = bytes_of["local_8"] / bytes_of["backpropagation"]
    assert f"{share:.2f} of the activations" in row("8 local blocks")


def test_published_figures(row):
    from examples.recipes import PUBLISHED

    assert f"{PUBLISHED['hff-vgg14-cifar10']:.2f} %" in row("HFF, six")
    assert f"{PUBLISHED['caw-resnet17-cifar10']:.2f} %" in row("CAW-Conv's")


def test_links():
    text = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / path).exists(), path


def test_version_of_the_citation():
    import keras_ff

    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {keras_ff.__version__}\n" in citation


def test_the_pin_of_pytorch_satisfies_the_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (bound,) = project["optional-dependencies"]["torch"]
    found = re.search(
        r"^torch==([\d.]+)$", (ROOT / "constraints.txt").read_text(), re.M
    )
    assert bound.startswith("torch>=")
    least = bound.removeprefix("torch>=").split(".")
    assert [*map(int, found[1].split("."))] >= [*map(int, least)]
