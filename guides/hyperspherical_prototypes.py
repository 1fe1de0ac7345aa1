"""
Title: Hyperspherical prototypes: one pass is enough
Author: The keras_ff authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Train HFF, look at its prototypes on a sphere, count its passes.
Accelerator: None
"""

"""
## What you will learn

The original Forward-Forward algorithm asks every layer a yes-or-no question:
*does this input carry the right label?* The label is written into the input,
so to classify an image you must ask once for **every class**. HFF
(Sarode et al., 2026, [arXiv 2605.00082](https://arxiv.org/abs/2605.00082))
asks every layer *which class is this?* instead: each class has a prototype on
the unit sphere, and its score is the cosine to it. One pass trains, one pass
predicts, and no negative data is needed.

You will train both on real handwritten digits, see prototypes and images on a
sphere, and count passes. It is for anyone who knows Keras layers, and takes
about a minute on a CPU.

## Setup
"""

import os
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_ff
from keras_ff import visualization

keras.utils.set_random_seed(0)
epochs = int(os.environ.get("GUIDE_EPOCHS", 30))

digits = load_digits()
images = digits.data.astype("float32") / 16
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:1400], order[1400:]
x_train, y_train = images[train], digits.target[train]
x_test, y_test = images[test], digits.target[test]

"""
## Two layers, each with its own sphere

`embedding_size=3` maps the 200 activations of a layer onto a sphere in three
dimensions before they meet the prototypes: small, so that it can be drawn.
Leave it out in earnest. `SmoothMarginLoss` wants the right class to lead by
the margin and scales the cosines, which are never larger than 1.
"""

model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((64,)),
        keras_ff.layers.PrototypeDense(
            200, num_classes=10, embedding_size=3, name="first"
        ),
        keras_ff.layers.PrototypeDense(
            200, num_classes=10, embedding_size=3, name="second"
        ),
    ],
    layer_metrics=True,
)
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras_ff.losses.SmoothMarginLoss(margin=0.2, scale=16.0),
)

"""
The prototypes start at random. Before training, we put them where their
classes are: `adapt_prototypes` moves them to the mean directions of a batch.
It is optional, and a head start in the first epoch.
"""

before = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
keras_ff.models.adapt_prototypes(model, x_train, y_train)
adapted = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
print(f"untrained, random prototypes: {before['accuracy']:.1%}")
print(f"untrained, class means:       {adapted['accuracy']:.1%}")

model.fit(x_train, y_train, batch_size=64, epochs=epochs, verbose=0)
trained = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
print(f"trained:                      {trained['accuracy']:.1%}")

"""
## Looking at the sphere

`head.embed` puts an activation on the sphere, where the prototypes are.
`visualization.prototypes` draws both in two dimensions: large are the
prototypes, small the test images, in the color and the shape of their class.
`visualization.prototype_similarity` draws the cosines between the prototypes.
"""

figure, axes = plt.subplots(2, 2, figsize=(13, 9.5), layout="constrained")
inputs = keras.ops.convert_to_tensor(x_test)
for (left, right), layer in zip(axes, model.local_layers):
    head = layer.head
    visualization.prototypes(
        layer, head.embed(layer.activate(inputs)), y_test, ax=left
    )
    visualization.prototype_similarity(layer, ax=right)
    left.set_title(
        f"layer '{layer.name}', {trained[f'{layer.name}_accuracy']:.1%} "
        "by itself"
    )
    inputs, _ = layer(inputs)
figure.savefig("hyperspherical_prototypes.png", dpi=150)
print("written: hyperspherical_prototypes.png")

"""
In both layers every class has gathered, as a rule near its own prototype,
though no gradient went from one layer to the other. (The three dimensions of
the sphere are seen from one side.)

## One pass against one pass per class

The same layers as Hinton's algorithm: `ForwardForwardModel` writes every label
over the first ten features of every image, so that each image becomes ten.
"""

forward_forward = keras_ff.models.ForwardForwardModel(
    [
        keras.Input((64,)),
        keras_ff.layers.FFDense(200),
        keras_ff.layers.FFDense(200),
    ],
    num_classes=10,
)
forward_forward.compile(optimizer=keras.optimizers.Adam(3e-3))
forward_forward.fit(x_train, y_train, batch_size=64, epochs=epochs, verbose=0)
result = forward_forward.evaluate(x_test, y_test, verbose=0, return_dict=True)
print(f"Forward-Forward: {result['accuracy']:.1%}")


def milliseconds(model, repeats=20):
    model.predict_on_batch(x_test)
    start = time.perf_counter()
    for _ in range(repeats):
        model.predict_on_batch(x_test)
    return 1e3 * (time.perf_counter() - start) / repeats


print(f"HFF:             {milliseconds(model):.1f} ms for {len(x_test)} images")
print(
    f"Forward-Forward: {milliseconds(forward_forward):.1f} ms, "
    "10 candidates an image"
)

"""
The times of such small layers are mostly overhead. `python -m
benchmarks.inference` measures 10, 100 and 1000 classes on all
backends: on two CPU cores, for 256 images, Forward-Forward takes 7 to 11, 59
to 97 and 334 to 805 times as long. What theory says: Forward-Forward needs as
many times the multiplications of HFF as there are classes, a little less
because HFF also compares with the prototypes.

## Which settings matter?

The paper does not publish margin, scale, the number of prototypes per class
and the size of the embedding, so we looked, on Fashion-MNIST with two dense
layers of 500 units.

**A search** (`python -m benchmarks.hff_search`: 30 trials of Bayesian
optimization, 3 epochs each, one seed, validation accuracy 86.4 % to 88.9 %).
The ten best trials all hand on features divided by their root mean square,
nine of them compare in an embedding of 128 or 512 dimensions; the seven best
have a scale of 6 to 11 (a learning rate below 1e-3, no dropout in so short a
training) and a margin of 0.2 to 0.35. The defaults of `SmoothMarginLoss` and
`PrototypeDense` come from there.

**An ablation** (`python examples/ablation.py hff`: 6 epochs, three seeds, test
accuracy after the last epoch, mean and standard deviation over the seeds).

| variant | test accuracy (%) |
|---|---|
| base: 1 prototype, embedding 512, margin 0.25, scale 8 | 89.21 ± 0.05 |
| 2 prototypes per class | 89.16 ± 0.03 |
| 4 prototypes per class | 89.13 ± 0.09 |
| no embedding | 87.71 ± 0.08 |
| margin 0 | 89.27 ± 0.10 |
| Proxy-Anchor loss (alpha 32, delta 0.1) | 88.23 ± 0.21 |
| prototypes start at class means | 89.25 ± 0.05 |
| prototypes fixed, random | 89.24 ± 0.09 |
| prototypes fixed, orthogonal | 89.23 ± 0.13 |
| prototypes fixed, maximally separated | 89.10 ± 0.08 |
| plain projection (Mono-Forward) | 88.99 ± 0.25 |

Every seed is in `benchmarks/results/ablation_hff_fashion_mnist.png`. What we
conclude, for this network and data set:

- the **embedding** is what counts, 1.5 points: a linear map of the activation
  before it meets the prototypes. It also makes the head a larger one;
- once there is an embedding, the prototypes need not be **learned**, and where
  they **start** does not matter: the embedding turns the activation towards
  wherever they are;
- **several prototypes** per class and the **margin** bring nothing here. Ten
  kinds of clothing may be too simple to need them;
- the sphere is 0.2 points better than a **plain projection**, within the
  spread of the seeds, and varies less. Its strength is what this guide began
  with: scores that need no negative data and no second pass, and prototypes
  that can be looked at;
- Proxy-Anchor's loss, in its published setting, is a point behind; the third
  candidate, `softplus` of the scaled margin divided by the scale, is this
  loss times a constant, which Adam does not see.
"""
