"""The documentation site: `make docs` builds it into `site/`."""

import pathlib

ROOT = pathlib.Path(__file__).parents[1]
