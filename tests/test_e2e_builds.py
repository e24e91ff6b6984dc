"""What a lock's sdists are built with, on a real BuildKit: what the lock has, and nothing newer."""

from __future__ import annotations

from pathlib import Path

from support.distributions import BACKEND, Dist, file_bytes
from support.images import Cogpack, Docker, build, layers, run_python
from support.index_server import serve
from support.projects import write_project
from support.wheelhouse import gateway

_LOOK = "import old_built, ancient_built; print(old_built.BACKEND, ancient_built.BACKEND)"


def _sdist(wanted: str) -> Dist:
    text = f'[build-system]\nrequires = ["{wanted}"]\nbuild-backend = "cogpack_maker"\n'
    return Dist("1.0", tag="sdist", pyproject=text)


def _backend(version: str) -> Dist:
    return Dist(version, code=BACKEND, module="cogpack_maker")


def test_a_backend_that_came_after_the_lock_builds_nothing(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    packages = {
        "old": [_sdist("cogpack-maker>=1")],
        "ancient": [_sdist("cogpack-maker<1")],
        "cogpack-maker": [_backend("0.5"), _backend("1.0")],
    }
    folder = write_project(tmp_path, "  python_requirements: requirements.txt")
    with serve(packages, host=gateway(docker)) as index:
        lines = f"--extra-index-url {index.url}\nold\nancient\n"
        (folder / "requirements.txt").write_text(lines)
        locked = cogpack("resolve", "--lock", folder)
        assert locked.returncode == 0, locked.stderr
        index.packages["cogpack-maker"] += [_backend("0.6"), _backend("2.0")]
        image = build(cogpack, folder, "pinned-builds", "--locked")
        before = layers(docker, image)
        assert run_python(docker, image, _LOOK) == "1.0 0.5"

        # The wheels that 1.0 and 0.5 built are in uv's cache now.
        moved = cogpack("resolve", "--upgrade", "cogpack-maker", "--refresh", folder)
        assert moved.returncode == 0, moved.stderr
        assert "changed cogpack-maker (builds) 0.5, 1.0 to 0.6, 2.0" in moved.stderr
        after = build(cogpack, folder, "pinned-builds", "--locked")
        assert run_python(docker, after, _LOOK) == "2.0 0.6"
    # Beside the layer of what was built it is the source's, the lock being a part of it.
    *others, source = layers(docker, after)
    assert len([one for one in others if one not in before]) == 1
    assert source != before[-1]


def test_a_folder_of_the_project_has_what_is_installed_and_what_builds_it(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    folder = write_project(tmp_path, "  python_requirements: requirements.txt")
    (folder / "requirements.txt").write_text("--find-links wheels\nold\nlib\n")
    (folder / "wheels").mkdir()
    files = {"old": _sdist("cogpack-maker"), "cogpack-maker": _backend("7"), "lib": Dist("3")}
    for name, dist in files.items():
        (folder / "wheels" / dist.filename(name)).write_bytes(file_bytes(name, dist))
    locked = cogpack("resolve", "--lock", folder)
    assert locked.returncode == 0, locked.stderr
    image = build(cogpack, folder, "own-folder", "--locked")
    look = "import lib, old_built; print(lib.__version__, old_built.BACKEND)"
    assert run_python(docker, image, look) == "3 7"
