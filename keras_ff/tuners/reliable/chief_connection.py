import json
import threading

import grpc

from keras_ff.tuners.reliable import address
from keras_ff.tuners.reliable import chief
from keras_ff.tuners.reliable import keras_tuner_private


class ChiefConnection:
    """A worker's line to the chief: bounded waiting, and signs of life.

    Args:
        client: KerasTuner's `OracleClient`, whose calls it bounds.
        timeout: float, seconds to wait for an answer.
        secret: bytes that every call brings, or `None`.
    """

    def __init__(self, client, timeout, secret=None):
        self.address = address.address()
        self._timeout = timeout
        self._metadata = ((chief.WORKER, client.tuner_id.encode()),)
        if secret is not None:
            self._metadata += ((chief.SECRET, secret),)
        self._channel = grpc.insecure_channel(
            self.address,
            options=[
                # gRPC would wait longer and longer before it tries again.
                ("grpc.max_reconnect_backoff_ms", 1000),
                # Nobody in between shall learn the secret.
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._stub = keras_tuner_private.stub(self._channel)
        self._hear = self._channel.unary_unary(chief.HEAR)
        self._closed = threading.Event()
        keras_tuner_private.redirect(client, self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._closed.set()
        self._channel.close()

    def __getattr__(self, name):
        """A call of the stub."""
        call = getattr(self._stub, name)
        return lambda request, **kwargs: self._ask(call, request)

    def settings(self):
        """What the chief searches."""
        return json.loads(self._ask(self._hear, b""))["settings"]

    def gave_away(self, trial_id):
        """Whether another worker has this worker's trial.

        `False` if the chief does not say so at once.
        """
        try:
            answer = self._hear(
                b"", metadata=self._metadata, timeout=min(5, self._timeout)
            )
        except grpc.RpcError:
            return False
        return json.loads(answer)["trial"] != trial_id

    def report_every(self, seconds):
        """Tells the chief, whatever else happens, that this worker lives."""

        def report():
            while not self._closed.wait(seconds):
                try:
                    self._hear(b"", metadata=self._metadata, timeout=seconds)
                except (grpc.RpcError, ValueError):
                    pass  # The search's own next call says what is wrong.

        threading.Thread(target=report, daemon=True).start()

    def _ask(self, call, request):
        try:
            return call(
                request,
                metadata=self._metadata,
                wait_for_ready=True,
                timeout=self._timeout,
            )
        except grpc.RpcError as error:
            # Fatal: an ordinary error would count as the trial's.
            raise keras_tuner_private.FatalRuntimeError(
                f"The chief at {self.address} {self._reason(error)}"
            ) from error

    def _reason(self, error):
        code = error.code()
        if code == grpc.StatusCode.UNAUTHENTICATED:
            return (
                "refused this worker: the secret in the environment variable "
                f"{address.SECRET} is missing here or is not the chief's. Set "
                "it to the same value here and there."
            )
        if code in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ):
            return f"refused this worker. {error.details()}"
        if code == grpc.StatusCode.UNKNOWN:
            return f"failed: {error.details()}"
        return (
            f"did not answer within {self._timeout:g} s. Is it running, and "
            "are KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT the same "
            "here and there?"
        )
