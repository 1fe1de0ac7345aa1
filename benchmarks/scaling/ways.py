"""Four ways to train on many devices, each as a few sums.

All train on batches of `samples` a device. A link carries what a device sends
to its neighbor, in both directions at once. Computing and sending may go on at
the same time; where that hides sending, it is hidden.
"""

import math
from typing import NamedTuple


class Layer(NamedTuple):
    """A layer of a network.

    Attributes:
        seconds: what forward and backward pass of a device's samples take.
        weights: bytes of its gradients.
        activation: bytes of its output for a device's samples.
    """

    seconds: float
    weights: float
    activation: float


class Link(NamedTuple):
    """A link: bytes a second, and seconds until the first byte arrives."""

    bandwidth: float
    latency: float


class Cost(NamedTuple):
    """What a step costs a device.

    Attributes:
        seconds: of the step.
        ideal: seconds that it would take if nothing was sent or waited for.
        sent: bytes that the device sends.
        sending: seconds that this takes.
        hidden: the share of them behind computation.
        idle: seconds without computing that are not due to sending.
    """

    seconds: float
    ideal: float
    sent: float
    sending: float
    hidden: float
    idle: float

    @property
    def efficiency(self):
        return self.ideal / self.seconds


# A backward pass takes twice as long as a forward pass.
FORWARD = 1 / 3


def all_reduce(size, devices, link):
    """Bytes a device sends, and seconds, to add up `size` bytes.

    In a ring, which sends least, or in trees, which take fewer hops:
    whichever is faster.
    """
    if devices == 1:
        return 0.0, 0.0
    ways = [
        (2 * (devices - 1) / devices * size, 2 * (devices - 1)),
        (2.0 * size, 2 * math.ceil(math.log2(devices))),
    ]
    costs = [
        (sent, sent / link.bandwidth + hops * link.latency)
        for sent, hops in ways
    ]
    return min(costs, key=lambda cost: cost[1])


def data_parallel_backprop(layers, devices, link):
    """Gradients are sent from the last layer on, during the backward pass."""
    total = sum(layer.seconds for layer in layers)
    time, ready = FORWARD * total, []
    for layer in reversed(layers):
        time += (1 - FORWARD) * layer.seconds
        ready.append((time, layer.weights))
    return _reduced(ready, total, devices, link)


def data_parallel_local(layers, devices, link):
    """Gradients are sent from the first layer on, while the next computes."""
    time, ready = 0.0, []
    for layer in layers:
        time += layer.seconds
        ready.append((time, layer.weights))
    return _reduced(ready, time, devices, link)


def _reduced(ready, total, devices, link):
    """The cost if gradients are added up while other layers compute.

    Layer by layer, or all at once at the end if that is faster, as it is
    where layers are small and many hops are far.

    Args:
        ready: list of pairs: when a layer's gradients are there, their bytes.
        total: seconds of the computation.
    """
    at_once = [(total, sum(size for _, size in ready))]
    costs = []
    for sends in (ready, at_once):
        free, sent, sending = 0.0, 0.0, 0.0
        for time, size in sends:
            own, seconds = all_reduce(size, devices, link)
            free = max(free, time) + seconds
            sent += own
            sending += seconds
        seconds = max(total, free)
        hidden = _hidden(seconds - total, sending)
        costs.append(Cost(seconds, total, sent, sending, hidden, 0.0))
    return min(costs, key=lambda cost: cost.seconds)


def stages_of(layers, number):
    """Layers in contiguous stages, the longest as short as can be."""
    from keras_ff.models.layer_parallel.balance import cut

    parts = cut([layer.seconds for layer in layers], number)
    return [[layers[i] for i in part] for part in parts]


def pipelined_backprop(layers, devices, link, micro_batches=None):
    """A pipeline (GPipe) of as many stages as there are layers, at most.

    Activations go up and gradients down, a part of the batch after another;
    between a batch's first and last part stages stand idle. More devices than
    layers are several pipelines, which add their gradients up afterwards.

    Args:
        micro_batches: int, how many parts. Defaults to four a stage, as GPipe
            advises.
    """
    rows, stages, samples = _in_stages(layers, devices)
    number = len(stages)
    parts = micro_batches or 4 * number
    ideal, slowest = _lengths(layers, stages, samples)
    largest = _largest_between(stages, samples)
    part = slowest / parts
    hop = largest / parts / link.bandwidth + (link.latency if largest else 0)
    # Forward and backward each fill and empty the row; a hop is seen where it
    # takes longer than a part computes, and at every stage of the filling.
    row = sum(
        (number - 1) * (work + hop) + parts * max(work, hop)
        for work in (FORWARD * part, (1 - FORWARD) * part)
    )
    weights = max(sum(x.weights for x in stage) for stage in stages)
    reduced, reducing = all_reduce(weights, rows, link)
    sending = 2 * parts * hop + reducing
    bubble = (number - 1) * part
    seconds = row + reducing
    return Cost(
        seconds,
        ideal,
        2 * largest + reduced,
        sending,
        _hidden(seconds - slowest - bubble, sending),
        slowest - ideal + bubble,
    )


def layer_parallel_local(layers, devices, link):
    """Stages as in a pipeline, but nothing comes back, so none waits.

    Features leave while the next batch is computed. More devices than layers
    are several rows, which add the gradients of a layer up while the next
    layers of its stage compute.
    """
    rows, stages, samples = _in_stages(layers, devices)
    ideal, slowest = _lengths(layers, stages, samples)
    largest = _largest_between(stages, samples)
    cost = _row_of_local(stages, samples, rows, link)
    leaving = largest / link.bandwidth + (link.latency if largest else 0)
    seconds = max(cost.seconds, leaving)
    sending = cost.sending + leaving
    return Cost(
        seconds,
        ideal,
        largest + cost.sent,
        sending,
        _hidden(seconds - slowest, sending),
        slowest - ideal,
    )


def _in_stages(layers, devices):
    """How many rows, the stages of one, and by what samples grow.

    With as many samples a device, a row takes those of all its stages.
    """
    number = min(devices, len(layers))
    while devices % number:
        number -= 1
    return devices // number, stages_of(layers, number), number


def _lengths(layers, stages, samples):
    """Seconds of a stage if all were as long, and of the longest."""
    total = samples * sum(layer.seconds for layer in layers)
    longest = max(sum(layer.seconds for layer in stage) for stage in stages)
    return total / len(stages), samples * longest


def _largest_between(stages, samples):
    """The most bytes that go from one stage to the next."""
    return max(
        (samples * stage[-1].activation for stage in stages[:-1]), default=0.0
    )


def _row_of_local(stages, samples, rows, link):
    """The slowest stage, with its gradients added up over the rows."""
    costs = [
        data_parallel_local(
            [x._replace(seconds=samples * x.seconds) for x in stage],
            rows,
            link,
        )
        for stage in stages
    ]
    return max(costs, key=lambda cost: cost.seconds)


def _hidden(waits, sending):
    return 1.0 if sending == 0 else max(0.0, 1 - waits / sending)


WAYS = {
    "data-parallel backpropagation": data_parallel_backprop,
    "data-parallel local learning": data_parallel_local,
    "pipelined backpropagation": pipelined_backprop,
    "layer-parallel local learning": layer_parallel_local,
}
