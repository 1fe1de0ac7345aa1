"""Every guide has the tutobook header and runs, at small size."""

import pathlib
import re
import runpy

import pytest

plt = pytest.importorskip("matplotlib.pyplot")

# Of the extra `guides`.
NEEDS = {"sequences": ("babel", "sktime")}
GUIDES = sorted((pathlib.Path(__file__).parent.parent / "guides").glob("*.py"))


@pytest.mark.only_on("torch")
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_guide(guide, tmp_path, monkeypatch):
    header = re.match(
        r'"""\nTitle: .+\nAuthors?: .+\nDate created: \d{4}/\d\d/\d\d\n'
        r"Last modified: \d{4}/\d\d/\d\d\nDescription: [A-Z].{1,99}\.\n"
        r'Accelerator: (None|GPU|TPU)\n"""\n',
        guide.read_text(),
    )
    assert header, "The header is not that of a keras.io guide."
    for package in NEEDS.get(guide.stem, ()):
        pytest.importorskip(package)
    monkeypatch.setenv("GUIDE_EPOCHS", "1")
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    runpy.run_path(str(guide), run_name="__main__")
    plt.close("all")
