import ipaddress
import os
import socket

SECRET = "KERAS_FF_CHIEF_SECRET"


def address():
    """Where the chief listens."""
    ip, port = (os.environ[f"KERASTUNER_ORACLE_{x}"] for x in ("IP", "PORT"))
    return f"{ip}:{port}"


def shared_secret():
    """What chief and workers know and nobody else, as bytes, or `None`.

    Raises:
        ValueError: if there is none, and others can reach the chief.
    """
    secret = os.environ.get(SECRET, "")
    ip = os.environ["KERASTUNER_ORACLE_IP"]
    if not secret and not _is_loopback(ip):
        raise ValueError(
            f"KERASTUNER_ORACLE_IP is {ip!r}, where others can reach the "
            f"chief. Set the environment variable {SECRET} to the same "
            "secret for the chief and all workers, or use 127.0.0.1 if they "
            "are on one machine."
        )
    return secret.encode() or None


def _is_loopback(host):
    try:
        found = socket.getaddrinfo(host.strip("[]"), None)
    except OSError:
        return False
    # The scope of an IPv6 address is no part of it.
    ips = {str(entry[4][0]).partition("%")[0] for entry in found}
    return all(ipaddress.ip_address(ip).is_loopback for ip in ips)
