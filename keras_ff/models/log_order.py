def layer_of(key, names):
    """The number of the layer that an entry of the logs is of, or -1.

    Args:
        key: string, such as `"conv_loss"` or `"val_conv_accuracy"`.
        names: list of the names of the layers.
    """
    key = key.removeprefix("val_")
    found = [name for name in names if key.startswith(f"{name}_")]
    return names.index(max(found, key=len)) if found else -1


def in_layer_order(logs, names):
    """Logs with the layers in their order; Keras sorts them by name.

    Args:
        logs: dict.
        names: list of the names of the layers.
    """
    return dict(
        sorted(
            logs.items(),
            key=lambda entry: (
                entry[0].startswith("val_"),
                layer_of(entry[0], names),
            ),
        )
    )
