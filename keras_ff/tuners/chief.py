import json
import os
import time
import warnings
from concurrent import futures

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine.hyperparameters import HyperParameters
from keras_tuner.src.engine.trial import Trial
from keras_tuner.src.engine.trial import TrialStatus

HEAR = "/keras_ff.Chief/Hear"
FINISHED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


def address():
    """Where the chief listens."""
    ip, port = (os.environ[f"KERASTUNER_ORACLE_{x}"] for x in ("IP", "PORT"))
    return f"{ip}:{port}"


class Chief(OracleServicer):
    """Serves an oracle to workers that may die.

    All calls are handled by one thread, one after the other.

    Args:
        oracle: a KerasTuner oracle.
        settings: dict, what the search is; workers compare it with theirs.
        worker_timeout: float, seconds after which a silent worker is lost.
    """

    def __init__(self, oracle, settings, worker_timeout):
        super().__init__(oracle)
        self._settings = json.dumps(settings).encode()
        self._timeout = worker_timeout
        # Workers of this chief's earlier run get the time to report.
        self._heard = dict.fromkeys(oracle.ongoing_trials, time.monotonic())
        self._told = set()
        self._error = None

    def serve(self):
        """Blocks until the search has ended and the workers know it."""
        server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=1),
            # Two chiefs on one port would share the workers.
            options=[("grpc.so_reuseport", 0)],
        )
        protos.get_service_grpc().add_OracleServicer_to_server(self, server)
        service, method = HEAR.strip("/").split("/")
        hear = grpc.unary_unary_rpc_method_handler(self.hear)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {method: hear})]
        )
        server.add_insecure_port(address())
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
        worker = request.decode()
        self._heard[worker] = time.monotonic()
        self._told.discard(worker)
        return self._settings

    def CreateTrial(self, request, context):
        oracle, worker = self.oracle, request.tuner_id
        self.hear(worker.encode(), context)
        oracle.tuner_ids.add(worker)
        if self._error is not None:
            oracle.tuner_ids.discard(worker)
            self.stop_triggered = True
            trial = Trial(HyperParameters(), status=TrialStatus.STOPPED)
        else:
            self._hand_over(worker)
            trial = oracle.create_trial(worker)
            if trial.status == TrialStatus.STOPPED:
                if oracle.ongoing_trials:
                    # Their workers may yet be lost.
                    trial.status = TrialStatus.IDLE
                    oracle.tuner_ids.add(worker)
                else:
                    self.stop_triggered = True
        return protos.get_service().CreateTrialResponse(trial=trial.to_proto())

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

    def UpdateTrial(self, request, context):
        trial = self.oracle.get_trial(request.trial_id)
        if trial.status in FINISHED:
            return protos.get_service().UpdateTrialResponse(
                trial=trial.to_proto()
            )
        return super().UpdateTrial(request, context)

    def EndTrial(self, request, context):
        trial = Trial.from_proto(request.trial)
        # A worker that was slow, not dead, ends a trial for the second time.
        if self.oracle.get_trial(trial.trial_id).status not in FINISHED:
            trial.message = self._error_message(trial)
            try:
                self.oracle.end_trial(trial)
                # Without the trial among the ongoing ones.
                self.oracle.save()
            except RuntimeError as error:
                # Too many failures; the workers hear of it when they ask.
                self._error = error
        return protos.get_service().EndTrialResponse()

    def _error_message(self, trial):
        if trial.status not in (TrialStatus.INVALID, TrialStatus.FAILED):
            return None
        folder = self.oracle._get_trial_dir(trial.trial_id)
        path = os.path.join(folder, "error.txt")
        if not os.path.exists(path):
            return None
        with open(path) as file:
            return file.read()
