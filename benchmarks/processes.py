import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def run(module, backend, settings):
    """What a module writes on one backend.

    Keras has one backend a process, so the module runs in its own, with the
    settings (JSON) and the path of its results as arguments.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "results.json")
        subprocess.run(
            [sys.executable, "-m", module, json.dumps(settings), output],
            check=True,
            env={
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **os.environ,
                "KERAS_BACKEND": backend,
            },
        )
        return json.loads(Path(output).read_text())
