"""The local layers in float64 NumPy, written from the papers' formulas.

Nothing here knows the library: it is what the library is held against.
"""

import math

import numpy as np


def conv2d(x, kernel, strides=(1, 1), padding="valid", dilation=(1, 1)):
    """Cross-correlation of channels-last maps, `kernel` (h, w, in, out)."""
    x = np.asarray(x, "float64")
    kernel = np.asarray(kernel, "float64")
    pads, sizes = [(0, 0)], []
    for axis in range(2):
        size, step = x.shape[1 + axis], strides[axis]
        reach = (kernel.shape[axis] - 1) * dilation[axis] + 1
        if padding == "same":
            out = math.ceil(size / step)
            total = max((out - 1) * step + reach - size, 0)
            pads.append((total // 2, total - total // 2))
        else:
            out = (size - reach) // step + 1
            pads.append((0, 0))
        sizes.append(out)
    x = np.pad(x, [*pads, (0, 0)])
    result = np.zeros((len(x), *sizes, kernel.shape[-1]))
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            top, left = i * strides[0], j * strides[1]
            for u in range(kernel.shape[0]):
                for v in range(kernel.shape[1]):
                    pixel = x[:, top + u * dilation[0], left + v * dilation[1]]
                    result[:, i, j] += pixel @ kernel[u, v]
    return result


def relu(x):
    return np.maximum(x, 0.0)


def average_pool(x, size):
    b, h, w, c = x.shape
    x = x[:, : h // size * size, : w // size * size]
    x = x.reshape(b, h // size, size, w // size, size, c)
    return x.mean(axis=(2, 4))


def standardize(x, axes):
    mean = x.mean(axis=axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


def instance_norm(x):
    return standardize(np.asarray(x, "float64"), (1, 2))


def group_norm(x, groups):
    x = np.asarray(x, "float64")
    grouped = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    axes = (*range(1, x.ndim - 1), x.ndim)
    return standardize(grouped, axes).reshape(x.shape)


def layer_norm(x):
    x = np.asarray(x, "float64")
    return standardize(x, tuple(range(1, x.ndim)))


def rms_norm(x):
    x = np.asarray(x, "float64")
    axes = tuple(range(1, x.ndim))
    return x / np.sqrt((x**2).mean(axis=axes, keepdims=True) + 1e-5)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def temperature(log_t, epoch=0, decay=0.995, bounds=(0.1, 100.0)):
    return np.clip(np.exp(float(log_t)), *bounds) * decay**epoch


def shares(w, log_t, epoch=0, decay=0.995, bounds=(0.1, 100.0)):
    """The assignment `M`: every channel's shares in the classes."""
    return softmax(
        np.asarray(w, "float64") / temperature(log_t, epoch, decay, bounds),
        axis=1,
    )


def pool(y, coefficients=(0.94, 0.06, 0.05)):
    """One number a channel: a mean + b max - c min over all positions."""
    y = np.asarray(y, "float64")
    a, b, c = coefficients
    flat = y.reshape(len(y), -1, y.shape[-1])
    return a * flat.mean(1) + b * flat.max(1) - c * flat.min(1)


def group_mean(y, num_classes):
    """Mean of `y` over each class's contiguous channels and the map."""
    y = np.asarray(y, "float64")
    block = y.shape[-1] // num_classes
    return np.stack(
        [
            y[..., k * block : (k + 1) * block].reshape(len(y), -1).mean(1)
            for k in range(num_classes)
        ],
        axis=1,
    )


def unit(x):
    x = np.asarray(x, "float64")
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


def prototype_scores(u, prototypes, beta):
    """Cosines to prototypes `(K, J, D)`; a smooth maximum over J of them."""
    cosines = np.einsum("bd,kjd->bkj", unit(u), unit(prototypes))
    if cosines.shape[-1] == 1:
        return cosines[..., 0]
    return np.log(np.exp(beta * cosines).sum(-1)) / beta


def smooth_margin(labels, scores, margin, scale):
    """softplus(logsumexp of the others - the right one less the margin)."""
    scores = np.asarray(scores, "float64")
    losses = []
    for label, row in zip(labels, scores):
        others = np.log(np.exp(scale * np.delete(row, label)).sum())
        lead = others - scale * (row[label] - margin)
        losses.append(np.log1p(np.exp(lead)))
    return np.array(losses)


def supervised_contrast(vectors, labels, temperature):
    """Of every anchor; one alone of its class has none."""
    p = np.asarray(vectors, "float64")
    p = p / np.linalg.norm(p, axis=1, keepdims=True)
    losses = []
    for i in range(len(p)):
        others = [k for k in range(len(p)) if k != i]
        weights = {k: np.exp(p[i] @ p[k] / temperature) for k in others}
        total = sum(weights.values())
        positives = [j for j in others if labels[j] == labels[i]]
        terms = [-np.log(weights[j] / total) for j in positives]
        losses.append(np.mean(terms) if terms else 0.0)
    return np.array(losses)


def similarities(x):
    """Cosines of centered rows; of maps, of their standard deviations."""
    x = np.asarray(x, "float64")
    if x.ndim > 2:
        x = x.std(axis=tuple(range(1, x.ndim - 1)))
    result = np.zeros((len(x), len(x)))
    for i in range(len(x)):
        for j in range(len(x)):
            a, b = x[i] - x[i].mean(), x[j] - x[j].mean()
            result[i, j] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return result


def targets(labels, num_classes, smoothing=0.0):
    rows = np.eye(num_classes)[np.asarray(labels, int).reshape(-1)]
    return smooth(rows, smoothing)


def smooth(rows, smoothing):
    rows = np.asarray(rows, "float64")
    return (1 - smoothing) * rows + smoothing / rows.shape[1]


def crossentropies(rows, logits):
    """Softmax cross-entropy of every sample."""
    logits = np.asarray(logits, "float64")
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -(np.asarray(rows, "float64") * log_p).sum(1)


def entropy(m, scale="published"):
    total = 0.0
    for k in range(m.shape[1]):
        total += -(m[:, k] * np.log(m[:, k] + 1e-10)).sum()
    return total / (m.shape[1] if scale == "published" else m.shape[0])


def orthogonality(m, scale="published"):
    channels, classes = m.shape
    total = 0.0
    for i in range(classes):
        for j in range(classes):
            a = m[:, i] / (np.linalg.norm(m[:, i]) + 1e-10)
            b = m[:, j] / (np.linalg.norm(m[:, j]) + 1e-10)
            total += (a @ b - (i == j)) ** 2
    mean = total / classes**2
    return mean / (classes**2 * channels) if scale == "published" else mean


def penalty(m, epoch, entropy_factor=1e-2, orthogonality_factor=1e-3):
    """The two published regularizers."""
    ramp = min(1.0, epoch / 50)
    return entropy_factor * entropy(
        m
    ) + orthogonality_factor * ramp * orthogonality(m)


def numeric_gradient(fn, array, step=1e-6):
    """Central differences of the scalar `fn(array)`, in float64."""
    array = np.array(array, "float64")
    result = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        up, down = array.copy(), array.copy()
        up[index] += step
        down[index] -= step
        result[index] = (fn(up) - fn(down)) / (2 * step)
    return result
