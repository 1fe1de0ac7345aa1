"""The faults of others that the package goes around, as long as they last."""

import pathlib
import re
import warnings

import pytest

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "upstream.md"
PROGRAMS = [
    pytest.param(
        code,
        marks=pytest.mark.only_on(backend),
        id=re.sub(r"\W+", " ", title),
    )
    for title, backend, code in re.findall(
        r"\*\*(.*?)\*\*.*?```python ?(\w*)\n(.*?)```",
        PAGE.read_text(),
        re.DOTALL,
    )
    if backend
]


@pytest.mark.parametrize("code", PROGRAMS)
def test_fault_is_still_there(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = re.search(r"(?<=  # )\w+Error$", code.rstrip())
    raised = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(code, str(PAGE), "exec"), {})
        except Exception as found:
            raised = type(found).__name__
    assert raised == (error and error.group()), (
        "The fault may be mended: remove it from docs/upstream.md, and what "
        "goes around it from the package"
    )
