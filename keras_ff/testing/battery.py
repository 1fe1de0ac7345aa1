from collections.abc import Callable
from collections.abc import Iterable
from contextlib import contextmanager
from typing import Any

import keras

from keras_ff.testing.check_failure import CheckFailure


def run(checks: list[Callable], subject, skip: Iterable[str]) -> list[str]:
    """Runs checks one after the other.

    Args:
        checks: functions of the subject. One that returns `False` did not
            apply. The first sentence of its docstring is what should be.
        subject: what is checked; its `str` names it.
        skip: names of checks that are left out.

    Returns:
        The names of the checks that applied and held.
    """
    names = [check.__name__ for check in checks]
    skip = [skip] if isinstance(skip, str) else list(skip)
    unknown = [name for name in skip if name not in names]
    if unknown:
        raise ValueError(
            f"`skip` must hold names of checks, of {names}. Received: "
            f"skip={skip}"
        )
    held = []
    for check in checks:
        if check.__name__ in skip:
            continue
        try:
            with policy("float32"):
                applied = check(subject)
        except Exception as error:
            failure: Any = error
            if not isinstance(error, CheckFailure):
                failure = _raised(check, error)
            failure.check, failure.subject = check.__name__, str(subject)
            if failure is error:
                raise
            raise failure from error
        if applied is not False:
            held.append(check.__name__)
    return held


def _raised(check, error):
    should_be = check.__doc__.strip().partition("\n")[0].rstrip(".")
    return CheckFailure(
        f"an error was raised while it was checked that "
        f"{should_be[0].lower()}{should_be[1:]}",
        found=f"{type(error).__name__}: {str(error).rstrip('.')}",
        expected="no error",
        mend="what the error says; its traceback is above",
    )


def demand(
    holds: object, wrong: str, found: object, expected: object, mend: str
) -> None:
    """Raises `CheckFailure` if something does not hold."""
    if not holds:
        raise CheckFailure(wrong, found, expected, mend)


@contextmanager
def policy(name: str):
    """A scope with a dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
