"""The files of a run: whole or not there, and of one run only."""

import csv
import io
import json


def check_config(output, config):
    """Refuses a folder that holds another run."""
    path = output / "config.json"
    if path.exists():
        saved = read_json(path)
        differing = {
            key: (saved.get(key), config.get(key))
            for key in {*saved, *config}
            if saved.get(key) != config.get(key)
        }
        if differing:
            raise SystemExit(
                f"{output} holds a run with other flags (saved, given): "
                f"{differing}. Give another --output."
            )
    elif (output / "backup").exists():
        raise SystemExit(
            f"{output} holds a run, but not its flags ({path}). Give another "
            "--output."
        )


def write_json(path, content):
    _write(path, json.dumps(content, indent=2) + "\n")


def write_history(path, history):
    """One line an epoch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    writer.writerows(
        [epoch, *row] for epoch, row in enumerate(zip(*history.values()))
    )
    _write(path, text.getvalue())


def _write(path, text):
    """Writes a file that is either whole or the one before."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def read_json(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise SystemExit(
            f"{path} is damaged: {error}. Remove it, or give another --output."
        ) from error
