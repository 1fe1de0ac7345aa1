class CheckFailure(AssertionError):
    """What a check of `keras_ff.testing` found.

    It says what is wrong, what was found and expected, and how to mend it.

    Attributes:
        check: string, the name of the check, as `skip` takes it.
        wrong: string, what is wrong.
        found: string, what was found.
        expected: string, what was expected.
        mend: string, how to mend it.

    Example:

    ```python
    try:
        keras_ff.testing.check_local_layer(make_layer, (8, 8, 1), 10)
    except keras_ff.testing.CheckFailure as failure:
        print(failure.check, failure.mend)
    ```
    """

    check: str | None = None
    subject: str | None = None

    def __init__(
        self, wrong: str, found: object, expected: object, mend: str
    ) -> None:
        # All of them, so that it can be pickled.
        super().__init__(wrong, found, expected, mend)
        self.wrong = wrong
        self.found = str(found)
        self.expected = str(expected)
        self.mend = mend

    def __str__(self) -> str:
        return (
            f"{self.subject} fails the check '{self.check}': {self.wrong}. "
            f"Found: {self.found}. Expected: {self.expected}. "
            f"To mend it: {self.mend}."
        )
