import hashlib
import json
import os
import re
import secrets

from keras_ff import files
from keras_ff.callbacks.weights_file import save_weights

NEWEST = "backup.json"
BEFORE = "backup.previous.json"
# Names that nobody else gives.
OWN = re.compile(
    r"\d+-[0-9a-f]{16}\.weights\.h5"
    r"|backup(\.previous)?\.json\.[0-9a-f]{16}\.part"
)


class BackupFolder:
    """The files of a backup: the last two records, each whole or not there.

    A record is a dict as JSON reads it, in `backup.json` or
    `backup.previous.json`, and a file of weights whose name and checksum it
    holds. No file is written in place, and none is removed that this class
    has not written.

    Args:
        path: path of the folder.
    """

    def __init__(self, path):
        self.path = path

    def read(self, damage):
        """The last whole record, or `None`.

        Args:
            damage: list, which gets what is wrong with later ones.
        """
        for name in (NEWEST, BEFORE):
            try:
                record = self._read(name)
                if record is not None:
                    self._check_weights(name, record)
                    return record
            except ValueError as error:
                damage.append(str(error))
        return None

    def weights(self, record):
        """Path of the weights of a record."""
        return os.path.join(self.path, record["weights"])

    def write(self, model, record, before):
        """Writes a record and forgets all but the one before.

        Args:
            model: the model whose weights it saves.
            record: dict.
            before: an earlier record of this folder, or `None`.

        Returns:
            The record as it will be read.
        """
        name = f"{record['epoch']}-{secrets.token_hex(8)}.weights.h5"
        path = os.path.join(self.path, name)
        save_weights(model, path)
        try:
            record = {**record, "weights": name, "checksum": _digest(path)}
            if before is not None:
                self._write(BEFORE, before)
            self._write(NEWEST, record)
        except OSError:
            os.remove(path)
            raise
        if before is None:
            self._remove(BEFORE)
        self._clean([r["weights"] for r in (record, before) if r is not None])
        return record

    def clear(self):
        """Removes what was written here."""
        # In this order, the backup is whole or not there at every moment.
        self._remove(BEFORE)
        self._remove(NEWEST)
        self._clean([])

    def _path_if_there(self, name):
        path = os.path.join(self.path, name)
        return path if os.path.lexists(path) else None

    def _read(self, name):
        path = self._path_if_there(name)
        if path is None:
            return None
        content = files.read_json(path, cure="")
        record = content.get("record") if isinstance(content, dict) else None
        if record is None:
            raise ValueError(f"{path} is not a backup's, or of an old version.")
        if content.get("checksum") != _checksum(_text(record)):
            raise ValueError(f"{path} is damaged: its checksum is wrong.")
        return record

    def _check_weights(self, name, record):
        path = self.weights(record)
        if not os.path.exists(path):
            raise ValueError(f"{path} is missing, of which {name} speaks.")
        if _digest(path) != record["checksum"]:
            raise ValueError(f"{path} is damaged: its checksum is wrong.")

    def _write(self, name, record):
        content = {"record": record, "checksum": _checksum(_text(record))}
        files.write_whole(
            os.path.join(self.path, name), json.dumps(content, indent=1)
        )

    def _is_own(self, name):
        try:
            return self._read(name) is not None
        except ValueError:
            return False

    def _remove(self, name):
        if self._is_own(name):
            os.remove(os.path.join(self.path, name))

    def _clean(self, kept):
        for name in os.listdir(self.path):
            if OWN.fullmatch(name) and name not in kept:
                os.remove(os.path.join(self.path, name))


def _text(record):
    return json.dumps(record, sort_keys=True).encode()


def _checksum(text):
    return hashlib.sha256(text).hexdigest()


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
