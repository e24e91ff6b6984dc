"""`cogpack resolve`: which versions are chosen, why, and what stands in the way."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from msgspec import Struct
from packaging.utils import canonicalize_name

from ..errors import UserError
from ..origin import Origin
from ..solver.conflict import Conflict
from ..solver.options import overridden, override_requirements, unknown_package
from ..solver.policy import POLICIES, Policy
from ..solver.requirement import Requirement
from ..solver.solve import all_versions, resolve
from ..solver.universe import RUNTIME_IMAGE, Universe
from ..stacks.one_image import on_one_image
from .options import base_image, compat, folder, locked, offline, platform, show_warnings

if TYPE_CHECKING:
    from ..project import Project
    from ..solver.resolution import Resolution
    from ..solver.silent import MetadataSource
    from ..stacks.compose import Composition

__all__ = ["command"]


class _Question(Struct, frozen=True):
    """What is to be solved: the project's requirements and the options laid over them.

    source: knows what the tables do not.
    """

    project: Project
    requirements: tuple[Requirement, ...]
    universe: Universe
    policy: Policy
    source: MetadataSource


@click.command("resolve")
@folder
@click.option("--why", metavar="PACKAGE", help="Tell why a package is there and none better.")
@click.option("--all", "every", metavar="PACKAGE", help="List every version that is possible.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON (docs/resolve.schema.json).")
@click.option("--gpu", metavar="NAME", help="The GPU that it must run on: h100, rtx4090, 9.0.")
@click.option("--driver", metavar="VERSION", help="The NVIDIA driver that must do: 535, 550.54.14.")
@platform
@base_image
@compat
@click.option(
    "--prefer",
    type=click.Choice(sorted(POLICIES)),
    help="Which of all possible answers is the best; else the lock's, or newest.",
)
@click.option(
    "--override",
    "overrides",
    metavar="PACKAGE=VERSION",
    multiple=True,
    help="Try another version in place of what the project asks for.",
)
@click.option("--lock", is_flag=True, help="Ask the package indexes too, and write the lock.")
@locked
@click.option(
    "--upgrade",
    "upgrade",
    metavar="PACKAGE",
    multiple=True,
    help="Lock anew, this package as new as it can be; base_image for the base's digest, "
    ":all: for everything.",
)
@click.option(
    "--exclude-newer",
    metavar="DATE",
    default="",
    help="Lock as on this day: files uploaded later do not exist.",
)
@click.option("--refresh", is_flag=True, help="Lock, and ask for every page of an index again.")
@offline
@click.option(
    "--known-overrides/--no-overrides",
    "known",
    default=None,
    help="Lock with or without the table of known overrides; with it by default.",
)
def command(
    folder: Path,
    why: str | None,
    every: str | None,
    as_json: bool,
    gpu: str | None,
    driver: str | None,
    platform: str | None,
    prefer: str | None,
    base_image: str | None,
    overrides: tuple[str, ...],
    lock: bool,
    locked: bool,
    upgrade: tuple[str, ...],
    exclude_newer: str,
    refresh: bool,
    offline: bool,
    known: bool | None,
) -> None:
    """Show which versions are chosen for the project in DIR, and why."""
    if why and every:
        raise click.UsageError("--why and --all cannot be asked at once")
    relock = any((lock, upgrade, exclude_newer, refresh, known is not None and not locked))
    if relock and (why or every or overrides or locked):
        raise click.UsageError(
            "a lock is made by itself: without --why, --all, --override, --locked"
        )
    if refresh and offline:
        raise click.UsageError("--refresh asks for every page, and --offline for none")
    from ..stacks.said import Said

    try:
        said = Said(platform, base_image, gpu, driver, prefer, known)
        if locked:
            from .lock import check_lock

            check_lock(folder, said, as_json)
            return
        if relock:
            from ..stacks.locking import Relock
            from .lock import make_lock

            make_lock(folder, said, Relock(upgrade, exclude_newer, offline, refresh), as_json)
            return
        named = _package(every or "")
        question = _question(said.composition(folder, None), overrides, offline, named)
        if why:
            _tell_why(question, _package(why), as_json)
        elif every:
            _tell_versions(question, named, as_json)
        else:
            _tell_resolution(question, as_json)
    except UserError as error:
        if not as_json:
            raise
        from ..solver.report import dumps, invalid_data

        click.echo(dumps(invalid_data(error.faults)), nl=False)
        sys.exit(error.exit_code)


def _package(name: str) -> str:
    """A package as the tables name it; of the base images the one that the project runs on."""
    plain = canonicalize_name(name)
    return RUNTIME_IMAGE if plain == "base-image" else plain


def _question(
    composition: Composition, overrides: tuple[str, ...], offline: bool, named: str
) -> _Question:
    """named: a package that is asked about, be it in the project or not."""
    from ..stacks.solve import policy_of, requirements_of, universe_of
    from ..stacks.unknown import ProjectIndexes

    requirements = requirements_of(composition)
    replacing = override_requirements(overrides)
    roots = {one.package for one in (*requirements, *replacing)} | {named}
    universe = universe_of(composition, roots)
    wanted = overridden(requirements, replacing, universe)
    source = ProjectIndexes(composition, os.environ, offline=offline)
    return _Question(composition.project, wanted, universe, policy_of(composition), source)


def _tell_resolution(question: _Question, as_json: bool) -> None:
    outcome = _solved(question)
    if isinstance(outcome, Conflict):
        _tell_conflict(outcome, as_json)
    outcome = on_one_image(question.project, outcome)
    told = (str(one) for one in question.project.warnings)
    outcome = replace(outcome, warnings=(*told, *outcome.warnings))
    if as_json:
        from ..solver.report import dumps, resolution_data

        click.echo(dumps(resolution_data(outcome)), nl=False)
    else:
        from ..solver.text import resolution_text

        show_warnings(outcome.warnings)
        click.echo(resolution_text(outcome), nl=False)


def _solved(question: _Question) -> Resolution | Conflict:
    return resolve(question.requirements, question.universe, question.policy, question.source)


def _tell_why(question: _Question, package: str, as_json: bool) -> None:
    from ..solver.report import dumps, why_data
    from ..solver.text import why_text
    from ..solver.why import why

    outcome = why(
        package, question.requirements, question.universe, question.policy, question.source
    )
    if isinstance(outcome, Conflict):
        _tell_conflict(outcome, as_json)
    click.echo(dumps(why_data(outcome)) if as_json else why_text(outcome), nl=False)


def _tell_versions(question: _Question, package: str, as_json: bool) -> None:
    from ..solver.report import dumps, versions_data
    from ..solver.text import versions_text

    if package not in question.universe:
        raise UserError(unknown_package(package, Origin(asker="--all"), question.universe))
    found = all_versions(package, question.requirements, question.universe, question.source)
    if not found:
        outcome = _solved(question)
        if isinstance(outcome, Conflict):
            _tell_conflict(outcome, as_json)
    text = dumps(versions_data(package, found)) if as_json else versions_text(package, found)
    click.echo(text, nl=False)


def _tell_conflict(conflict: Conflict, as_json: bool) -> NoReturn:
    """A conflict is the user's to mend: exit code 1, as for every error of the project's."""
    from ..solver.report import conflict_data, dumps
    from ..solver.text import conflict_text

    text = dumps(conflict_data(conflict)) if as_json else conflict_text(conflict)
    click.echo(text, nl=False)
    sys.exit(UserError.exit_code)
