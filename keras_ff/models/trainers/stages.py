from keras_ff import keras_private


class Stages(keras_private.LastLogs):
    """A mixin for models whose layers may run in stages.

    Each backend says how its loops hand batches to a `Spread` and get the
    variables back.
    """

    def _function_in_stages(self, spread):
        """What Keras's loop calls for a batch."""
        raise NotImplementedError

    def _settle(self):
        """Waits for all batches under way; the variables are whole then."""
        raise NotImplementedError

    def _unsound_batch(self):
        return None if self._spread is None else self._spread.unsound

    def _last_logs(self, logs):
        if self._spread is None:
            return logs
        self._settle()
        self._spread.raise_error()
        return self.get_metrics_result()
