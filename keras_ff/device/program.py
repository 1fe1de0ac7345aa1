"""LiteRT programs, of which one is in memory at a time."""

import numpy as np


class Program:
    """A LiteRT program.

    Args:
        path: path of its file, which is mapped, not read.
        content: the file's bytes instead.
        num_threads: int, how many threads it runs on. Defaults to `None`,
            LiteRT's choice.
        delegates: bool, whether it may use XNNPACK.
    """

    def __init__(
        self, path=None, content=None, num_threads=None, delegates=True
    ):
        try:
            from ai_edge_litert import interpreter
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "Training on a device needs LiteRT: `pip install "
                "ai-edge-litert`.",
                name=error.name,
            ) from error
        kinds = interpreter.OpResolverType
        kind = (
            kinds.AUTO if delegates else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        try:
            self._interpreter = interpreter.Interpreter(
                model_path=None if path is None else str(path),
                model_content=content,
                num_threads=num_threads,
                experimental_op_resolver_type=kind,
            )
        except ValueError as error:
            if path is None:
                raise
            raise ValueError(
                f"{path} is no whole program: {error}. Export the model "
                "again, with keras_ff.export_training. No weight was changed."
            ) from error
        self._runners = {}

    def inputs(self, name):
        """The names of the inputs of a signature."""
        return list(self._interpreter.get_signature_list()[name]["inputs"])

    def run(self, name, inputs):
        """Runs a signature; dicts from names to arrays go in and come out."""
        if name not in self._runners:
            self._runners[name] = self._interpreter.get_signature_runner(name)
        return self._runners[name](**inputs)


def run_in(program, name, given):
    """Runs a signature with those of some arrays that it takes."""
    return program.run(
        name, {key: np.asarray(given[key]) for key in program.inputs(name)}
    )
