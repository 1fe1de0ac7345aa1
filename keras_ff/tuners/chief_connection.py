import json
import threading

import grpc
from keras_tuner.errors import FatalRuntimeError
from keras_tuner.src import protos

from keras_ff.tuners.chief import HEAR
from keras_ff.tuners.chief import address


class ChiefConnection:
    """A worker's line to the chief: bounded waiting, and signs of life.

    Args:
        client: KerasTuner's `OracleClient`, whose calls it bounds.
        timeout: float, seconds to wait for an answer.
    """

    def __init__(self, client, timeout):
        self.address = address()
        self._timeout = timeout
        self._tuner_id = client.tuner_id.encode()
        self._channel = grpc.insecure_channel(
            self.address,
            # gRPC would wait longer and longer before it tries again.
            options=[("grpc.max_reconnect_backoff_ms", 1000)],
        )
        self._stub = protos.get_service_grpc().OracleStub(self._channel)
        self._hear = self._channel.unary_unary(HEAR)
        self._closed = threading.Event()
        client.stub = self

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
        return json.loads(self._ask(self._hear, self._tuner_id))

    def report_every(self, seconds):
        """Tells the chief, whatever else happens, that this worker lives."""

        def report():
            while not self._closed.wait(seconds):
                try:
                    self._hear(self._tuner_id, timeout=seconds)
                except (grpc.RpcError, ValueError):
                    pass  # The search's own next call says what is wrong.

        threading.Thread(target=report, daemon=True).start()

    def _ask(self, call, request):
        try:
            return call(request, wait_for_ready=True, timeout=self._timeout)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNKNOWN:
                reason = f"failed: {error.details()}"
            else:
                reason = (
                    f"did not answer within {self._timeout:g} s. Is it "
                    "running, and are KERASTUNER_ORACLE_IP and "
                    "KERASTUNER_ORACLE_PORT the same here and there?"
                )
            # Fatal: an ordinary error would count as the trial's.
            raise FatalRuntimeError(
                f"The chief at {self.address} {reason}"
            ) from error
