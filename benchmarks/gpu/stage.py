"""One stage, in a process of its own: `... NAME SESSION` (JSON)."""

import json
import sys

from benchmarks.gpu import chain
from benchmarks.gpu import device
from benchmarks.gpu import rates
from benchmarks.gpu import resnet17
from benchmarks.gpu.session import Session

STAGES = {
    "device": device.run,
    "prototype": lambda session: chain.run(session, ["prototype"]),
    "resnet17": resnet17.run,
    "rates": rates.run,
    "others": lambda session: chain.run(session, ["caw", "backprop"]),
}

if __name__ == "__main__":
    name, settings = sys.argv[1:]
    STAGES[name](Session(stage=name, **json.loads(settings)))
