import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def run(module, backend, settings, **environment):
    """What a module writes on one backend.

    Keras has one backend a process, so the module runs in its own, with the
    settings (JSON) and the path of its results as arguments.

    Args:
        module: string, what `python -m` runs.
        backend: string.
        settings: dictionary.
        environment: variables that the process sees besides this one's.
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
                **environment,
            },
        )
        return json.loads(Path(output).read_text())
