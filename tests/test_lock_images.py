"""Digests of base images in the lock: pinned when it is made, kept, moved when asked for."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cogpack.errors import RetryableError, UserError
from cogpack.llb.capabilities import Capabilities
from cogpack.llb.client import ImageNotFound
from cogpack.llb.compile import compile_plan
from cogpack.llb.images import ResolvedImage
from cogpack.pipeline import _missing_image
from cogpack.plan.model import ImageInput, Plan, Stage, StageInput
from cogpack.plan.walk import image_refs, stages
from cogpack.registry.errors import UnreachedError
from cogpack.solver.lock import LOCK_FILE, Lock, read_lock
from cogpack.solver.resolution import BaseImage, BaseImages
from cogpack.stacks.compose import make_plan
from cogpack.stacks.locking import load_as_locked, resolution_to_build
from cogpack.stacks.pinning import Pinned, pinned_images
from cogpack.stacks.said import Said
from support.index_server import Dist, IndexServer
from support.locked_project import cogpack, index, write_project
from support.registry import Registry
from support.registry import serve as serve_images

WORLD = {"app": [Dist("1.0")]}
SLIM = "library/python:3.12-slim-bookworm"
OLD, NEW, OTHER = (f"sha256:{letter * 64}" for letter in "abc")
KNOWN = {"os": "debian-12", "python": "3.12.4"}


def image(ref: str, digest: str = "", **provides: str) -> BaseImage:
    return BaseImage(ref, digest, provides or KNOWN)


def both(one: BaseImage) -> BaseImages:
    return BaseImages(one, one)


def pinned(
    images: BaseImages, old: BaseImages | None = None, *upgraded: str, now: str = NEW
) -> Pinned:
    """The images pinned by a registry that has one digest for all, or none where that is empty."""

    def ask(ref: str, moving: bool) -> str:
        if not now:
            raise UnreachedError(f"{ref} is gone")
        return now

    return pinned_images(images, old, frozenset(upgraded), ask)


def digests(found: Pinned) -> tuple[str, str]:
    return found.images.build.digest, found.images.runtime.digest


def test_a_first_lock_takes_what_the_registry_has() -> None:
    assert digests(pinned(both(image("r/p:1")))) == (NEW, NEW)
    two = BaseImages(image("r/devel:1"), image("r/slim:1"))
    assert digests(pinned(two)) == (NEW, NEW)


def test_what_the_user_pinned_is_not_asked_for() -> None:
    assert digests(pinned(both(image("r/p", OTHER)), both(image("r/p", OLD)), now="")) == (
        OTHER,
        OTHER,
    )


@pytest.mark.parametrize("name", ["", "base-image", "build-image", ":all:"])
def test_a_lock_stays_until_it_is_to_move(name: str) -> None:
    found = pinned(both(image("r/p:1")), both(image("r/p:1", OLD)), *filter(None, [name]))
    expected = {"": (OLD, OLD), "base-image": (OLD, NEW)}
    assert digests(found) == expected.get(name, (NEW, NEW))


@pytest.mark.parametrize("name", ["", "base-image", "build-image", ":all:"])
def test_an_image_to_build_in_moves_by_its_own_name(name: str) -> None:
    images = BaseImages(image("r/devel:1"), image("r/slim:1"))
    old = BaseImages(image("r/devel:1", OLD), image("r/slim:1", OLD))
    expected = {"": (OLD, OLD), "base-image": (OLD, NEW)}
    assert digests(pinned(images, old, *filter(None, [name]))) == expected.get(name, (NEW, NEW))


def test_another_image_takes_nothing_of_the_old_one() -> None:
    assert digests(pinned(both(image("r/p:2")), both(image("r/p:1", OLD)))) == (NEW, NEW)


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        ({"os": "debian-12", "python": "3.12.4"}, {"os": "debian-12", "python": "3.12.9"}, True),
        ({"os": "debian-12", "python": "3.12.4"}, {"os": "debian-12", "python": "3.13.0"}, False),
        ({"os": "ubuntu-22.04"}, {"os": "ubuntu-22.04"}, True),
        # A tag of the user's own may get another minor of Python, and nobody would know.
        ({"python": "3.12"}, {"python": "3.12"}, False),
    ],
)
def test_an_environment_stays_where_it_is_only_while_it_fits(
    before: dict[str, str], after: dict[str, str], stays: bool
) -> None:
    old = BaseImage("r/p:1", OLD, before)
    found = pinned(both(BaseImage("r/p:1", "", after)), both(old), "base-image")
    assert digests(found) == (OLD if stays else NEW, NEW)


def test_a_registry_that_is_not_reached_is_a_warning_or_what_was_asked_for_fails() -> None:
    first = pinned(both(image("r/p:1")), now="")
    assert digests(first) == ("", "")
    assert first.warnings == (
        "the digest of r/p:1 cannot be had: r/p:1 is gone; the lock has none",
    )
    old = both(image("r/p:1", OLD))
    every = pinned(both(image("r/p:1")), old, ":all:", now="")
    assert digests(every) == (OLD, OLD)
    assert every.warnings[0].endswith("it stays as it is")
    with pytest.raises(RetryableError, match="cannot be had"):
        pinned(both(image("r/p:1")), old, "base-image", now="")


@pytest.fixture
def images() -> Iterator[Registry]:
    with serve_images() as registry:
        yield registry


@pytest.fixture
def server(images: Registry) -> Iterator[IndexServer]:
    with index(WORLD) as served:
        served.registry = f"http://{images.address}"
        yield served


def locked(project: Path) -> Lock:
    lock = read_lock(project)
    assert lock is not None
    return lock


def plan_of(project: Path) -> Plan:
    composition = load_as_locked(project, Said())
    return make_plan(composition, resolution_to_build(composition, locked=True))


def stage(plan: Plan, name: str) -> Stage:
    return next(one for one in stages(plan) if one.id == name)


def test_the_digest_stays_until_it_is_upgraded(
    images: Registry, server: IndexServer, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", "app")
    first = images.put(SLIM, b"1")
    cogpack(project, server, "resolve", "--lock")
    assert digests(Pinned(locked(project).resolution.base_images)) == (first, first)
    assert image_refs(plan_of(project)) == (f"docker.io/{SLIM}@{first}",)
    second = images.put(SLIM, b"2")
    text = (project / LOCK_FILE).read_bytes()
    asked = len(images.asked)
    assert cogpack(project, server, "resolve", "--lock", "--refresh").returncode == 0
    assert (project / LOCK_FILE).read_bytes() == text
    assert len(images.asked) == asked
    moved = cogpack(project, server, "resolve", "--upgrade", "base_image")
    assert f"changed base-image {first} to {second}" in moved.stderr
    assert digests(Pinned(locked(project).resolution.base_images)) == (first, second)
    both = cogpack(project, server, "resolve", "--upgrade", "build_image")
    assert f"changed build-image {first} to {second}" in both.stderr
    assert image_refs(plan_of(project)) == (f"docker.io/{SLIM}@{second}",)


def test_packages_stand_on_the_old_base_and_all_else_on_the_new_one(
    images: Registry, server: IndexServer, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", "app")
    config = project / "cog.yaml"
    config.write_text(config.read_text().replace("build:\n", "build:\n  run: [make]\n"))
    old = f"docker.io/{SLIM}@{images.put(SLIM, b'1')}"
    cogpack(project, server, "resolve", "--lock")
    before = plan_of(project)
    new = f"docker.io/{SLIM}@{images.put(SLIM, b'2')}"
    cogpack(project, server, "resolve", "--upgrade", "base_image")
    plan = plan_of(project)
    assert (plan.base.build, plan.base.runtime) == (new, new)
    assert stage(plan, "python").source == ImageInput(ref=old)
    assert stage(plan, "uv").source == ImageInput(ref=old)
    wheels = [one for one in stages(plan) if one.id.startswith("wheels:")]
    assert {one.source for one in wheels} == {StageInput(id="python")}
    # Nothing else changed: neither stages nor what they do.
    assert [one.id for one in stages(plan)] == [one.id for one in stages(before)]
    assert [one.ops for one in stages(plan)] == [one.ops for one in stages(before)]
    labels = plan.config.labels
    assert labels["org.opencontainers.image.base.digest"] == new.partition("@")[2]


def test_certificates_are_trusted_where_packages_are_installed(
    images: Registry, server: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = base64.encodebytes(b"certificate").decode()
    authority = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    project = write_project(tmp_path / "project", "app")
    old = f"docker.io/{SLIM}@{images.put(SLIM, b'1')}"
    cogpack(project, server, "resolve", "--lock")
    images.put(SLIM, b"2")
    cogpack(project, server, "resolve", "--upgrade", "base_image")
    monkeypatch.setenv("COG_CA_CERT", authority)
    plan = plan_of(project)
    assert stage(plan, "environment-ca").source == ImageInput(ref=old)
    assert stage(plan, "environment-ca").ops == stage(plan, "ca").ops
    assert stage(plan, "python").source == StageInput(id="environment-ca")


@pytest.mark.parametrize("missing", ["merge", "diff"])
def test_a_daemon_that_cannot_merge_builds_upon_the_new_base_alone(
    images: Registry, server: IndexServer, tmp_path: Path, missing: str
) -> None:
    project = write_project(tmp_path / "project", "app")
    old = f"docker.io/{SLIM}@{images.put(SLIM, b'1')}"
    cogpack(project, server, "resolve", "--lock")
    new = f"docker.io/{SLIM}@{images.put(SLIM, b'2')}"
    cogpack(project, server, "resolve", "--upgrade", "base_image")
    plan = plan_of(project)
    known = {ref: ResolvedImage(ref, ref.partition("@")[2], b"{}") for ref in image_refs(plan)}
    assert set(known) == {old, new}
    capable = compile_plan(plan, images=known)
    assert old.encode() in capable.definition
    poor = compile_plan(
        plan, images=known, capabilities=replace(Capabilities(), **{missing: False})
    )
    assert old.encode() not in poor.definition
    assert new.encode() in poor.definition


def test_a_digest_that_its_registry_lost_is_told_with_what_to_do(
    images: Registry, server: IndexServer, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", "app")
    images.put(SLIM, b"1")
    cogpack(project, server, "resolve", "--lock")
    plan = plan_of(project)
    failure = _missing_image(ImageNotFound(plan.base.runtime, "not found"), plan)
    assert isinstance(failure, UserError)
    [fault] = failure.faults
    assert fault.origin is not None
    assert fault.origin.file == LOCK_FILE
    assert "cogpack resolve --upgrade build_image" in fault.hint


def test_without_a_registry_the_lock_says_that_it_pins_nothing(
    server: IndexServer, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", "app")
    made = cogpack(project, server, "resolve", "--lock")
    assert made.returncode == 0
    assert f"the digest of docker.io/{SLIM} cannot be had" in made.stderr
    assert "the lock has none" in made.stderr
    told: list[str] = []
    composition = load_as_locked(project, Said())
    resolution_to_build(composition, locked=True, told=told.append)
    [warning] = told
    assert warning == (
        f"{LOCK_FILE} has no digest of docker.io/{SLIM}: the build takes what the tag names now "
        "(run cogpack resolve --upgrade base_image)"
    )
    failed = cogpack(project, server, "resolve", "--upgrade", "base_image")
    assert failed.returncode == RetryableError.exit_code


def test_a_base_of_the_users_own_is_pinned_alike(
    images: Registry, server: IndexServer, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", "app")
    reference = f"{images.address}/team/base:7"
    with (project / "cog.yaml").open("a") as file:
        file.write(f"cogpack:\n  base_image: {reference}\n")
    digest = images.put("team/base:7", b"1")
    cogpack(project, server, "resolve", "--lock")
    assert locked(project).resolution.base_images.runtime.digest == digest
    plan = plan_of(project)
    assert plan.base.runtime == f"{reference}@{digest}"
    own = locked(project)
    assert own.options.base_image == ""


def test_offline_no_registry_is_asked(
    images: Registry, server: IndexServer, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "project", "app")
    images.put(SLIM, b"1")
    cogpack(project, server, "resolve", "--lock")
    lock = (project / LOCK_FILE).read_bytes()
    (project / LOCK_FILE).unlink()
    asked = len(images.asked)
    assert cogpack(project, server, "resolve", "--lock", "--offline").returncode == 0
    assert len(images.asked) == asked
    # What the cache knows is as good, and the lock is the same.
    assert (project / LOCK_FILE).read_bytes() == lock
