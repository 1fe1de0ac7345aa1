"""
Title: Coming from scripts of papers
Author: The keras_ff authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: One PyTorch file a data set, and the same as layers and a recipe.
Accelerator: None
"""

"""
## What the scripts do

CAW-Conv and DeeperForward come as PyTorch scripts, one a network and a data
set. Each holds the layer, the loop over layers with an optimizer for every
one, the data and the evaluation; a new idea is a copy of the file.

Below is the idea of such a script in a few lines, then the same training with
`keras_ff`, on digits of 8 x 8 pixels.
"""

import os

import keras
import numpy as np
import torch
from sklearn.datasets import load_digits

import keras_ff

epochs = int(os.environ.get("GUIDE_EPOCHS", 15))
torch.manual_seed(0)
keras.utils.set_random_seed(0)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
x_train, y_train = images[:1400], labels[:1400]
x_test, y_test = images[1400:], labels[1400:]

"""
## A script, in short

DeeperForward: two convolutions, a group of channels a class, a cross-entropy
for each. `detach` is what makes it local.
"""


class Layer(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = torch.nn.GroupNorm(10, outputs, affine=False)
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)

    def forward(self, x):
        y = torch.relu(self.conv(x.detach()))
        goodness = y.unflatten(1, (10, -1)).mean(dim=(2, 3, 4))
        return self.norm(y), goodness

    def learn(self, x, label):
        x, goodness = self(x)
        self.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(goodness, label).backward()
        self.optimizer.step()
        return x


layers = [Layer(1, 40), Layer(40, 80)]
x, y = torch.tensor(x_train).permute(0, 3, 1, 2), torch.tensor(y_train)
for _ in range(epochs):
    for batch in torch.randperm(len(x)).split(100):
        features = x[batch]
        for layer in layers:
            features = layer.learn(features, y[batch])

with torch.no_grad():
    features, total = torch.tensor(x_test).permute(0, 3, 1, 2), 0
    for layer in layers:
        features, goodness = layer(features)
        total = total + goodness
accuracy = np.mean(total.argmax(dim=1).numpy() == y_test)
print(f"script: {accuracy:.1%}")

"""
## The same with keras_ff

`CWConv2D` is the layer, `ForwardOnlyModel` the loop.
"""

model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        keras_ff.layers.CWConv2D(
            40, 3, num_classes=10, padding="same", dropout=0.0
        ),
        keras_ff.layers.CWConv2D(
            80, 3, num_classes=10, padding="same", dropout=0.0
        ),
    ]
)
model.compile(
    keras.optimizers.AdamW(0.01, weight_decay=0.01),
    loss=keras_ff.losses.LocalCrossentropy(),
)
model.fit(x_train, y_train, batch_size=100, epochs=epochs, verbose=0)
results = model.evaluate(x_test, y_test, return_dict=True, verbose=0)
print(f"keras_ff: {results['accuracy']:.1%}")

"""
Another method is another layer:
"""

model = keras_ff.models.ForwardOnlyModel(
    [
        keras.Input((8, 8, 1)),
        keras_ff.layers.CAWConv2D(40, 3, num_classes=10, padding="same"),
        keras_ff.layers.CAWConv2D(80, 3, num_classes=10, padding="same"),
    ],
    contribution=keras_ff.contributions.LossAware(),
    layer_clipnorm=1.0,
)
model.compile(
    keras.optimizers.AdamW(0.03, weight_decay=5e-4),
    loss=keras_ff.losses.LocalCrossentropy(label_smoothing=0.1),
)
model.fit(
    x_train[:1200],
    y_train[:1200],
    validation_data=(x_train[1200:], y_train[1200:]),
    batch_size=100,
    epochs=epochs,
    verbose=0,
)
results = model.evaluate(x_test, y_test, return_dict=True, verbose=0)
print(f"CAW-Conv: {results['accuracy']:.1%}")

"""
## What changes, what stays

| in the scripts | here |
|---|---|
| a file a data set | a recipe: `examples/reproduce.py NAME` |
| `detach` and an optimizer a layer, by hand | `ForwardOnlyModel` |
| clipping of each layer's gradient | `layer_clipnorm=1.0` |
| layers weighed by their loss | `contributions.LossAware()`, when validated |
| the best interval of layers | `contributions.Interval()` |
| shortcuts without weights | Keras's functional API, `applications.resnet17` |
| the best epoch on test images | last epoch, or the best on validation images |
| PyTorch, channels first | three backends, either order |
| an interrupted run starts anew | `callbacks.Backup` |

Formulas, initial values and hyperparameters are the published ones; where a
paper and its code differ, the documentation of the layer says which we
follow.

## When not to come

To repeat a paper's figure to the digit, take its own script, with its random
numbers. And where accuracy is all and memory is no matter, take
backpropagation.
"""
