"""What training on many devices costs, against sums done by hand."""

import pytest

from benchmarks import layer_parallel
from benchmarks.scaling import __main__ as scaling
from benchmarks.scaling import picture
from benchmarks.scaling import ways
from benchmarks.scaling.ways import Layer
from benchmarks.scaling.ways import Link

pytestmark = pytest.mark.only_on("torch")
FREE = Link(float("inf"), 0.0)
# 3 seconds of computing, 6 bytes of weights, 4 bytes of activation.
LAYERS = [Layer(3.0, 6.0, 4.0)] * 4


def test_gradients_hide_behind_what_still_computes():
    # Two devices send 6 bytes a layer, in 6 seconds over such a link.
    link = Link(1.0, 0.0)
    # Backward passes end at 6, 8, 10 and 12, the link is free at 12, 18, 24
    # and 30. All at once would end at 12 + 24.
    backprop = ways.data_parallel_backprop(LAYERS, 2, link)
    assert (backprop.seconds, backprop.sent) == (30.0, 24.0)
    assert backprop.hidden == pytest.approx(1 - 18 / 24)
    # Layers end at 3, 6, 9 and 12, the link is free at 9, 15, 21 and 27.
    local = ways.data_parallel_local(LAYERS, 2, link)
    assert (local.seconds, local.sent) == (27.0, 24.0)
    assert local.hidden == pytest.approx(1 - 15 / 24)
    assert local.efficiency == pytest.approx(12 / 27)


def test_an_all_reduce_takes_the_faster_of_ring_and_tree():
    assert ways.all_reduce(8.0, 1, FREE) == (0.0, 0.0)
    # The ring sends 2 * 7 / 8 of it over 14 hops, the tree 2 over 6.
    assert ways.all_reduce(8.0, 8, Link(1.0, 0.0)) == (14.0, 14.0)
    assert ways.all_reduce(8.0, 8, Link(1.0, 1.0)) == (16.0, 22.0)


@pytest.mark.parametrize("micro_batches", [1, 4, 16])
def test_a_pipeline_has_its_bubble_and_local_layers_none(micro_batches):
    cost = ways.pipelined_backprop(LAYERS, 4, FREE, micro_batches)
    expected = micro_batches / (micro_batches + 4 - 1)
    assert cost.efficiency == pytest.approx(expected)
    assert ways.layer_parallel_local(LAYERS, 4, FREE).efficiency == 1.0


def test_what_crosses_between_stages():
    link = Link(1e3, 0.0)
    # Four times the samples of a device; features go up, gradients down.
    assert ways.layer_parallel_local(LAYERS, 4, link).sent == 4 * 4.0
    assert ways.pipelined_backprop(LAYERS, 4, link).sent == 2 * 4 * 4.0
    # Eight devices are two rows, which also add up a stage's gradients.
    assert ways.layer_parallel_local(LAYERS, 8, link).sent == 16.0 + 6.0


def test_stages_that_are_not_even_stand_idle():
    layers = [Layer(3.0, 6.0, 4.0), Layer(1.0, 6.0, 4.0)]
    cost = ways.layer_parallel_local(layers, 2, FREE)
    # Of 2 * 2 seconds of work each, the first stage has 6.
    assert (cost.seconds, cost.ideal, cost.idle) == (6.0, 4.0, 2.0)


def test_measured_and_drawn(tmp_path):
    settings = {
        "stages": [2],
        "layers": 2,
        "width": 4,
        "size": 4,
        "batch_size": 4,
        "steps": 2,
        "repeats": 1,
        "faster": 10.0,
    }
    found = layer_parallel.compare(settings)
    assert [row["stages"] for row in found] == [1, 2]
    assert all(row["gain"] > 0 for row in found)
    assert "1.75" in layer_parallel.table({"torch": found})
    measured = found[-1]["layer_seconds"]
    layers = scaling.network(settings, measured)
    # A kernel of 3 * 3 * 4 * 4 numbers, outputs of 4 * 4 * 4 * 4.
    assert layers[0][1:] == (4 * 144.0, 4 * 256.0)
    results = {
        "links": scaling.LINKS,
        "costs": scaling.costs(layers),
        "check": scaling.check(found, settings["steps"]),
    }
    # Each layer is a stage: two batches through the slower one, and once
    # through the other.
    expected = 2 * max(measured) + min(measured)
    assert results["check"]["expected_seconds"] == pytest.approx(expected)
    assert "layer-parallel local learning" in scaling.table(results)
    picture.save(results, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 5000
