"""Prints how far training in stages on JAX devices is from one device.

A process of its own: devices are made before JAX starts.
"""

import json
import os

os.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=4"

import jax
from distribution.graph_model import difference
from distribution.graph_model import trained

from keras_ff.distribution import LayerParallel

print(
    json.dumps(
        {
            "devices": jax.device_count(),
            **difference(trained(), trained(LayerParallel())),
        }
    )
)
