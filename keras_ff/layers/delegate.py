from typing import Any


class Delegate:
    """A weight of a sub-layer that is read and set as the layer's own.

    Args:
        part: string, the attribute that holds the sub-layer.
    """

    def __init__(self, part):
        self.part = part

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, layer, owner=None) -> Any:
        if layer is None:
            return self
        return getattr(getattr(layer, self.part), self.name)

    def __set__(self, layer, value):
        self.__get__(layer).assign(value)
