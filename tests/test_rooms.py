"""The tree is as CONTRIBUTING.md draws it: who imports whom, and no circle."""

import ast
import graphlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TREES = ("keras_ff", "benchmarks", "demo", "examples", "guides", "website")
BACKENDS = {"tensorflow", "jax", "torch"}
# Where private modules may be imported, by the package they belong to; and
# what of a package stands beside its public names.
TUNER = "keras_ff/tuners/reliable/keras_tuner_private.py"
PRIVATE = {
    "keras.src": "keras_ff/keras_private.py",
    "keras_tuner.src": TUNER,
    "keras_tuner.engine": TUNER,
    "keras_tuner.errors": TUNER,
}

pytestmark = pytest.mark.only_on("torch")


def read_page():
    """By room, the rooms that it may import, as the page says."""
    rows = re.findall(
        r"^\| `(\S+)` \|.*\|(.*)\|$",
        (ROOT / "CONTRIBUTING.md").read_text(),
        flags=re.M,
    )
    rooms = [room for room, _ in rows]

    def expand(name):
        if name == "keras_ff":
            return [room for room in rooms if room.startswith("keras_ff/")]
        (room,) = [
            room
            for room in rooms
            if room in (name, f"keras_ff/{name}", f"keras_ff/{name}.py")
        ]
        return [room]

    return {
        room: {r for name in re.findall("`(.+?)`", names) for r in expand(name)}
        for room, names in rows
    }


ROOMS = read_page()
FILES = {
    path.relative_to(ROOT): ast.parse(path.read_text())
    for tree in TREES
    for path in sorted((ROOT / tree).rglob("*.py"))
}


def room_of(path):
    """The innermost room that a file is in; none for a package's face."""
    for place in (path, *path.parents):
        if place.as_posix() in ROOMS:
            return place.as_posix()
    assert path in (
        pathlib.Path("keras_ff/__init__.py"),
        pathlib.Path("keras_ff/_version.py"),
    ), f"{path} is in no room of CONTRIBUTING.md"
    return None


def file_of(module):
    """The file of a module of this project, or `None`."""
    path = pathlib.Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate in FILES:
            return candidate
    return None


def imports(tree):
    """Names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "Imports are absolute."
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                ours = node.module.split(".")[0] in TREES
                # `from package import module`, or a name of a module.
                yield node.module if ours and not file_of(name) else name


def imported_files(path):
    return {file_of(module) for module in imports(FILES[path])} - {None, path}


def test_every_room_is_there_and_used():
    assert set(ROOMS) == {room_of(path) for path in FILES} - {None}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_the_page_says(room):
    imported = {
        (path.as_posix(), room_of(target))
        for path in FILES
        if room_of(path) == room
        for target in imported_files(path)
    }
    allowed = {room, None, *ROOMS[room]}
    assert not {(p, target) for p, target in imported if target not in allowed}
    # What is allowed and not needed is not written there.
    listed = {r for r in ROOMS[room] if room.startswith("keras_ff/")}
    assert listed <= {target for _, target in imported}


def test_no_circle_of_rooms():
    tuple(graphlib.TopologicalSorter(ROOMS).static_order())


def test_no_circle_of_files():
    graph = {path: imported_files(path) for path in FILES}
    tuple(graphlib.TopologicalSorter(graph).static_order())


def test_backends_and_private_modules_stay_in_their_rooms():
    for path, tree in FILES.items():
        place = path.as_posix()
        names = set(imports(tree))
        packages = {name.split(".")[0] for name in names}
        if place.startswith("keras_ff/"):
            if place.startswith("keras_ff/device/exporting/"):
                packages -= {"tensorflow"}
            if not place.startswith("keras_ff/models/trainers/"):
                assert not packages & BACKENDS, path
        for private, room in PRIVATE.items():
            if any(f"{name}.".startswith(f"{private}.") for name in names):
                assert place == room, path


def private_attributes(tree):
    """Private names of anything but the object itself."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }


def test_private_attributes_of_keras_stay_in_their_room():
    room = pathlib.Path(PRIVATE["keras.src"])
    of_keras = private_attributes(FILES[room])
    assert "_inbound_nodes" in of_keras
    for path in set(FILES) - {room}:
        assert not private_attributes(FILES[path]) & of_keras, path


def test_nothing_edits_the_path():
    programs = {
        path: ast.parse(path.read_text())
        for path in (ROOT / "tests").rglob("*.py")
    }
    for path, tree in {**FILES, **programs}.items():
        used = {
            ast.unparse(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
        }
        assert "sys.path" not in used, path


def test_no_file_of_the_package_is_long():
    """About 450 lines are the aim."""
    lines = {
        path.as_posix(): len((ROOT / path).read_text().splitlines())
        for path in FILES
        if path.parts[0] == "keras_ff"
    }
    assert not {name for name, number in lines.items() if number > 500}


def attributes(tree):
    return {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}


def names(tree):
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


def functions(tree):
    """Names of a file's own functions, private or not."""
    return {
        node.name.lstrip("_")
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


# What one of them does and nothing else.
SIGNS = {"labels": None, "checks": "Integral", "files": "fsync"}


@pytest.mark.parametrize("home", SIGNS)
def test_rules_about_labels_arguments_and_files_exist_once(home):
    home_file = file_of(f"keras_ff.{home}")
    rules = functions(FILES[home_file])
    for path in set(FILES) - {home_file}:
        # One of the same name adds something to the rule.
        if functions(FILES[path]) & rules:
            assert home_file in imported_files(path), path
        assert SIGNS[home] not in attributes(FILES[path]), path


def test_one_rule_says_which_batch_is_never_trained_on():
    """For all backends and replicas; stages ask it for their layers."""
    models = pathlib.Path("keras_ff/models")
    asking = {p for p in FILES if "is_sound" in attributes(FILES[p])}
    assert asking == {
        models / "trainers/local_step.py",
        models / "layer_parallel/spread.py",
    }
    counting = {p for p in FILES if "count_wrong_weights" in names(FILES[p])}
    assert counting == {
        models / "local_statistics.py",
        models / "layer_parallel/unit.py",
    }
