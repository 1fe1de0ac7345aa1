"""Exports a model that another backend saved, on TensorFlow."""

import importlib
import json
import sys

import keras

from keras_ff.device.exporting.writing import write_folder
from keras_ff.models import load_model


def main():
    told = json.load(sys.stdin)
    try:
        for module in told.pop("modules"):
            importlib.import_module(module)
        write_folder(load_model(told.pop("model")), **told)
    except (ImportError, TypeError, ValueError) as error:
        print(json.dumps({"error": _explained(error)}))
        sys.exit(1)


def _explained(error):
    text = str(error)
    if isinstance(error, ImportError) or "deserialize" in text:
        text += (
            "\nThe export runs in a process of its own on TensorFlow: put "
            "classes of your own into a module that can be imported there, "
            "registered with keras.saving.register_keras_serializable."
        )
    return text


if __name__ == "__main__":
    keras.config.disable_interactive_logging()
    main()
