"""Builds the site: `python -m website --help`."""

import argparse
import shutil
import subprocess
import sys

import yaml

from website import ROOT
from website import pages
from website import rendering

CONFIGURATION = ROOT / "build" / "mkdocs.yml"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m website")
    parser.add_argument(
        "--rerun",
        nargs="*",
        metavar="GUIDE",
        help="run guides again although they are as before: those named, or "
        "all that an older keras_ff ran",
    )
    options = parser.parse_args(arguments)
    run_guides(options.rerun)
    menu = pages.assemble()
    CONFIGURATION.write_text(
        yaml.safe_dump(
            {
                "INHERIT": "../mkdocs.yml",
                "docs_dir": "pages",
                "site_dir": "site",
                "nav": menu,
            },
            sort_keys=False,
        )
    )
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    subprocess.run([*command, "-f", str(CONFIGURATION)], check=True, cwd=ROOT)
    shutil.rmtree(ROOT / "site", ignore_errors=True)
    shutil.move(ROOT / "build" / "site", ROOT / "site")


def run_guides(again):
    """Runs those that changed; `again` as `--rerun` has it."""
    older = []
    for guide in rendering.guides():
        state = rendering.state(guide)
        if state == "changed" or (
            again is not None
            and (guide.stem in again or (not again and state == "older"))
        ):
            print(f"Running guides/{guide.name}", flush=True)
            rendering.render(guide)
        elif state == "older":
            older.append(guide.stem)
    if older:
        print(
            f"{len(older)} guides were run with an older keras_ff. To run "
            "them again: python -m website --rerun"
        )


if __name__ == "__main__":
    main()
