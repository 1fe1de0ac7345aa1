"""
Title: What makes CAW-Conv work
Author: The keras_ff authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: One change at a time between DeeperForward and CAW-Conv.
Accelerator: None
"""

"""
## What you will learn

CAW-Conv ([Ghader et al., 2026](https://arxiv.org/abs/2606.09928)) reports
89.4 % on CIFAR-10, DeeperForward
([Sun et al., 2025](https://openreview.net/forum?id=kOYnXVQCtA)) 86.2 % with
the same network. Between the two lie at least eight changes at once: a learned
assignment of channels to classes, its two regularizers, another pooling,
another normalization, label smoothing, clipping, dropout, and another way of
weighing the layers. The paper credits the assignment. Is it that?

This guide shows how `examples/ablation.py` answers such a question, runs a
small study, and reads the results of a larger one. It is for researchers who
compare methods, and for anyone who wants to know which options of `CAWConv2D`
deserve attention. It takes about two minutes on a CPU, in a checkout of the
project.

## One change at a time

Every variant is the whole recipe of CAW-Conv with a single part replaced by
what DeeperForward has, or left out. All see the same data in the same order,
and start from the same seeds.
"""

import argparse
import json
import os
import pathlib
import sys

checkout = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(checkout / "examples"))
import ablation
import matplotlib.pyplot as plt

short = "GUIDE_EPOCHS" in os.environ
for name, change in ablation.caw_study().items():
    print(f"{name:26}{change}")

"""
The assignment alone is tested by freezing it: at DeeperForward's contiguous
groups of channels, or at groups dealt out at random. Both stay on the scale of
the learned one, so that the loss sees equally large goodness.

## A small study

Three variants and one seed on scikit-learn's digits show how it is done; one
image of the 360 in the test data is 0.28 points, so they decide nothing.
"""

flags = argparse.Namespace(
    study="caw",
    dataset="digits",
    architecture="tiny_cnn",
    data_dir=None,
    epochs=int(os.environ.get("GUIDE_EPOCHS", 10)),
    width_multiplier=0.1,
)
variants = ("CAW-Conv", "frozen groups", "DeeperForward")
for variant in variants[: 1 if short else 3]:
    result = ablation.train(variant, seed=0, flags=flags)
    print(f"{variant}: {result['test_accuracy']:.1%}")

"""
## The larger study

TinyCNN at a tenth of its width, 3 epochs, three seeds. The runs are stored
with the project; this reads them. A point is a seed, a bar the mean.
"""

for dataset in ("fashion_mnist", "cifar10"):
    path = checkout / f"benchmarks/results/ablation_caw_{dataset}.json"
    results = json.loads(path.read_text())
    print(f"{dataset}, {results['settings']['epochs']} epochs")
    print(ablation.table(results))
    plt.figure(figsize=(9, 7), layout="constrained")
    plt.imshow(plt.imread(path.with_suffix(".png")))
    plt.axis("off")
plt.show()

"""
CONCLUSION
"""
