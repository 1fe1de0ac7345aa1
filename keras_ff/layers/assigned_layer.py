from keras_ff.layers.channel_class_assignment import ChannelClassAssignment

HEAD_ARGUMENTS = (
    "pooling",
    "temperature",
    "learnable_temperature",
    "temperature_decay",
    "temperature_range",
    "assignment_initializer",
    "assignment_regularizers",
)


def assignment_head(num_classes, kwargs, data_format=None):
    """Makes the head of a CAW layer, taking its arguments out of `kwargs`."""
    arguments = {
        name: kwargs.pop(name) for name in HEAD_ARGUMENTS if name in kwargs
    }
    return ChannelClassAssignment(
        num_classes,
        data_format=data_format,
        dtype=kwargs.get("dtype"),
        name="assignment_head",
        **arguments,
    )


class AssignedLayer:
    """What local layers with a channel-class assignment share."""

    @property
    def assignment(self):
        return self.head.assignment

    @assignment.setter
    def assignment(self, value):
        self.head.assignment.assign(value)

    @property
    def log_temperature(self):
        return self.head.log_temperature

    @log_temperature.setter
    def log_temperature(self, value):
        self.head.log_temperature.assign(value)

    def get_config(self):
        config = super().get_config()
        head = self.head.get_config()
        config.update({name: head[name] for name in HEAD_ARGUMENTS})
        config["num_classes"] = self.head.num_classes
        return config
