import hmac
import json
import os
import time
import warnings
from concurrent import futures

import grpc
from keras_tuner import HyperParameters

from keras_ff.tuners.reliable import keras_tuner_private
from keras_ff.tuners.reliable.address import address
from keras_ff.tuners.reliable.keras_tuner_private import message

HEAR = "/keras_ff.Chief/Hear"
# What a call says of who calls.
WORKER = "keras-ff-worker-bin"
SECRET = "keras-ff-secret-bin"
FINISHED = (
    keras_tuner_private.TrialStatus.COMPLETED,
    keras_tuner_private.TrialStatus.FAILED,
)


class Chief(keras_tuner_private.Servicer):
    """Serves an oracle to workers that may die.

    All calls are handled by one thread, one after the other. A trial belongs
    to one worker at a time, and only this one may report on it.

    Args:
        oracle: a KerasTuner oracle.
        settings: dict, what the search is; workers compare it with theirs.
        worker_timeout: float, seconds after which a silent worker is lost.
        secret: bytes that every call must bring, or `None`.
        max_workers: int, how many it knows at a time.
    """

    def __init__(
        self, oracle, settings, worker_timeout, secret=None, max_workers=1000
    ):
        super().__init__(oracle)
        self._settings = settings
        self._timeout = worker_timeout
        self._secret = secret
        self._max_workers = max_workers
        # Workers of this chief's earlier run get the time to report.
        self._heard = dict.fromkeys(oracle.ongoing_trials, time.monotonic())
        self._told = set()
        self._error = None

    def serve(self):
        """Blocks until the search has ended and the workers know it."""
        server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=1),
            interceptors=[_Door(self._secret)] if self._secret else [],
            # Two chiefs on one port would share the workers.
            options=[("grpc.so_reuseport", 0)],
        )
        keras_tuner_private.add_to_server(self, server)
        service, method = HEAR.strip("/").split("/")
        hear = grpc.unary_unary_rpc_method_handler(self.hear)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {method: hear})]
        )
        try:
            server.add_insecure_port(address())
        except RuntimeError as error:
            raise RuntimeError(
                f"The chief cannot listen at {address()}. End whatever else "
                "does (another chief?), or set KERASTUNER_ORACLE_IP to an "
                "address of this machine and KERASTUNER_ORACLE_PORT to a free "
                "port."
            ) from error
        server.start()
        try:
            while not self.is_over():
                self.warn_of_lost_workers()
                time.sleep(0.2)
        finally:
            server.stop(grace=2).wait()
        if self._error is not None:
            raise self._error

    def is_over(self):
        """Whether all workers were sent home, or are lost."""
        waiting = [w for w in list(self.oracle.tuner_ids) if self.is_alive(w)]
        return self.stop_triggered and not waiting

    def is_alive(self, worker):
        silence = time.monotonic() - self._heard.get(worker, float("-inf"))
        return silence < self._timeout

    def warn_of_lost_workers(self):
        for worker, trial in list(self.oracle.ongoing_trials.items()):
            if not self.is_alive(worker) and worker not in self._told:
                self._told.add(worker)
                warnings.warn(
                    f"Worker {worker!r} was not heard of for "
                    f"{self._timeout:g} s. The next worker that asks gets its "
                    f"trial {trial.trial_id}; start one if there is none."
                )

    def hear(self, request, context):
        """Notes a sign of life; says what is searched and who has what."""
        worker = self._admit(context)
        trial = self.oracle.ongoing_trials.get(worker)
        return json.dumps(
            {
                "settings": self._settings,
                "trial": None if trial is None else trial.trial_id,
            }
        ).encode()

    def _admit(self, context):
        """The name of the worker that calls."""
        worker = dict(context.invocation_metadata()).get(WORKER, b"").decode()
        if not 0 < len(worker) <= 200:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                "This chief is one of keras_ff's `ReliableSearch`, so its "
                "workers must be, with names of 1 to 200 characters.",
            )
        if worker not in self._heard:
            if len(self._heard) >= self._max_workers:
                self._forget_lost_workers()
            if len(self._heard) >= self._max_workers:
                context.abort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"It has {self._max_workers} workers already, as many as "
                    "it takes.",
                )
        self._heard[worker] = time.monotonic()
        self._told.discard(worker)
        return worker

    def _forget_lost_workers(self):
        for worker in list(self._heard):
            busy = worker in self.oracle.ongoing_trials
            if not busy and not self.is_alive(worker):
                del self._heard[worker]
                self.oracle.tuner_ids.discard(worker)

    def CreateTrial(self, request, context):
        oracle, worker = self.oracle, self._admit(context)
        oracle.tuner_ids.add(worker)
        if self._error is not None:
            oracle.tuner_ids.discard(worker)
            self.stop_triggered = True
            trial = keras_tuner_private.Trial(
                HyperParameters(),
                status=keras_tuner_private.TrialStatus.STOPPED,
            )
        else:
            self._hand_over(worker)
            trial = oracle.create_trial(worker)
            if trial.status == keras_tuner_private.TrialStatus.STOPPED:
                if oracle.ongoing_trials:
                    # Their workers may yet be lost.
                    trial.status = keras_tuner_private.TrialStatus.IDLE
                    oracle.tuner_ids.add(worker)
                else:
                    self.stop_triggered = True
        return message("CreateTrialResponse", trial=trial.to_proto())

    def _hand_over(self, worker):
        """Gives a worker without a trial that of a lost worker."""
        oracle = self.oracle
        if worker in oracle.ongoing_trials:
            return
        for lost in list(oracle.ongoing_trials):
            if not self.is_alive(lost):
                oracle.ongoing_trials[worker] = oracle.ongoing_trials.pop(lost)
                oracle.tuner_ids.discard(lost)
                oracle.save()
                return

    def _has(self, context, trial_id):
        """Whether the worker that calls has this trial, and has it still."""
        trial = self.oracle.ongoing_trials.get(self._admit(context))
        return trial is not None and trial.trial_id == trial_id

    def UpdateTrial(self, request, context):
        if self._has(context, request.trial_id):
            return super().UpdateTrial(request, context)
        trial = self.oracle.get_trial(request.trial_id)
        return message("UpdateTrialResponse", trial=trial.to_proto())

    def EndTrial(self, request, context):
        trial = keras_tuner_private.Trial.from_proto(request.trial)
        if self._has(context, trial.trial_id):
            trial.message = self._error_message(trial)
            try:
                self.oracle.end_trial(trial)
                # Without the trial among the ongoing ones.
                self.oracle.save()
            except RuntimeError as error:
                # Too many failures; the workers hear of it when they ask.
                self._error = error
        return message("EndTrialResponse")

    def _error_message(self, trial):
        if trial.status not in (
            keras_tuner_private.TrialStatus.INVALID,
            keras_tuner_private.TrialStatus.FAILED,
        ):
            return None
        folder = keras_tuner_private.trial_folder(self.oracle, trial.trial_id)
        path = os.path.join(folder, "error.txt")
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as file:
            return file.read()


class _Door(grpc.ServerInterceptor):
    """Turns calls away that do not bring the secret."""

    def __init__(self, secret):
        self._secret = secret
        self._refuse = grpc.unary_unary_rpc_method_handler(self._turn_away)

    def intercept_service(self, continuation, handler_call_details):
        brought = dict(handler_call_details.invocation_metadata).get(SECRET)
        if hmac.compare_digest(brought or b"", self._secret):
            return continuation(handler_call_details)
        return self._refuse

    @staticmethod
    def _turn_away(request, context):
        context.abort(
            grpc.StatusCode.UNAUTHENTICATED, "The secret is missing or wrong."
        )
