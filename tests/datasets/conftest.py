import os
import pathlib

import pytest


@pytest.fixture
def real_data_dir():
    """Directory of prepared TFDS data sets; skips the test without one."""
    root = pathlib.Path(__file__).parents[2]
    default = root.parent / "shared" / "tfds"
    data_dir = pathlib.Path(os.environ.get("TFDS_DATA_DIR", default))
    if not (data_dir / "fashion_mnist").is_dir():
        pytest.skip(f"no prepared fashion_mnist in {data_dir}")
    return data_dir
