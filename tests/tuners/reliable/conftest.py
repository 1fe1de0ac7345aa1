"""Clocks and roles of searches."""

import socket

import pytest


class Clock:
    """Stands in for the module `time` of the chief."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    from keras_ff.tuners.reliable import chief

    clock = Clock()
    monkeypatch.setattr(chief, "time", clock)
    return clock


@pytest.fixture
def role(monkeypatch):
    """Sets the role of tuners made from now on, on a port that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(port))

    def set_role(name, ip="127.0.0.1"):
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", ip)
        monkeypatch.setenv("KERASTUNER_TUNER_ID", name)
        return f"{ip}:{port}"

    return set_role
