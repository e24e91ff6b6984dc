"""The loop between the two worlds: matrix and package indexes are solved until they agree.

The SAT engine assigns the matrix; resolvelib resolves everything else under it. When that fails,
what was read of the indexes becomes part of the universe and the assignment is barred; the SAT
engine then solves both together. So a "no" of the loop is final, and told like any other conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from packaging.version import Version

from ..compat.rows import Override
from ..compat.tables import Tables
from ..errors import CogpackError, UserError
from ..index.indexset import IndexSet
from ..index.location import Location, parse_location
from ..origin import Origin
from .conflict import Conflict
from .loop_report import oddities, rare_collections, report_unknown, with_gaps
from .loop_wishes import Correction, barred, corrections, is_behind, keeping, wishful
from .matrix import DISTRIBUTIONS
from .open_catalog import Catalog, View, limitations
from .open_model import Ask, OpenOptions, range_of
from .open_prefetch import ask_ahead
from .open_resolve import Lacking, Missing, OpenFailure, OpenSolution, Outcome, resolve_open
from .open_target import MACHINES, Target
from .open_universe import learned
from .policy import POLICIES, Policy
from .problem import Problem, prepare
from .requirement import Requirement
from .resolution import Resolution
from .sat import Engine
from .silent import MetadataSource
from .solve import needs, resolution_of
from .universe import Candidate, Relation, Universe

__all__ = ["CUDA_EXTRAS", "Agreement", "Correction", "Question", "agree", "settled_packages"]

CUDA_EXTRAS = {"jax": "jax-cuda", "tensorflow": "tensorflow-cuda"}
"""Packages with extras that bring CUDA -> the package of the matrix whose label is the extra."""

_IMAGE_CUDA = "system"

# Assignments that are tried before the loop counts as endless. Each one that fails bars itself and
# teaches what it found, so real projects take a handful.
MAX_TURNS = 200

# Releases of a settled package that are read first when one of them clashed; doubled each time.
_FIRST_BATCH = 4


@dataclass(frozen=True)
class Question:
    """What both worlds are asked.

    requirements: on the matrix. universe: makes the universe that these packages can reach.
    asks: on the indexes; those of the matrix's own distributions among them.
    settled: packages whose versions the matrix decides; see `settled_packages`.
    keep: specifiers, by package of the matrix, that are kept as far as nothing speaks against it
        (those of an old lock). upgrade: packages that are to be as new as they can before that.
    source: knows versions that the tables do not; see `silent`.
    own: names that mean something else in the matrix than on an index; see `matrix.own_names`.
    """

    requirements: tuple[Requirement, ...]
    universe: Callable[[frozenset[str]], Universe]
    asks: tuple[Ask, ...]
    settled: frozenset[str]
    platform: str = "linux/amd64"
    policy: Policy = field(default_factory=lambda: POLICIES["newest"])
    options: OpenOptions = field(default_factory=OpenOptions)
    overrides: tuple[Override, ...] = ()
    keep: tuple[tuple[str, str], ...] = ()
    upgrade: frozenset[str] = frozenset()
    source: MetadataSource | None = None
    own: frozenset[str] = frozenset()

    @property
    def machine(self) -> str:
        """As `platform.machine()` tells it in the image."""
        architecture = self.platform.split("/")[1]
        return MACHINES.get(architecture, architecture)


@dataclass(frozen=True)
class Agreement:
    """What both worlds agreed on.

    index: the indexes, each package from its own. turns: assignments that were tried.
    compiled: packages that will be built from source.
    """

    resolution: Resolution
    solution: OpenSolution
    target: Target
    index: IndexSet
    corrections: tuple[Correction, ...] = ()
    turns: int = 1

    @property
    def compiled(self) -> tuple[str, ...]:
        """Packages that come as an sdist."""
        return tuple(one.name for one in self.solution.packages if one.offer.is_sdist)


def settled_packages(tables: Tables) -> frozenset[str]:
    """The distributions whose versions the matrix decides."""
    return DISTRIBUTIONS | {row.package for row in tables.jax_plugins}


def agree(question: Question, catalog: Catalog, *, explain: bool = True) -> Agreement | Conflict:
    """One set of versions that both worlds accept, the best for the matrix first.

    explain: find the clashes and fixes of a conflict; without it a Conflict has none.

    Raises UserError for what cannot be resolved at all (see `open_catalog.limitations`), for names
    that no index has and for a search that does not end, and what the index client raises.
    """
    faults = limitations(question.asks)
    if faults:
        raise UserError(faults)
    with rare_collections():
        return _agree(question, catalog, explain=explain)


def _agree(question: Question, catalog: Catalog, *, explain: bool) -> Agreement | Conflict:
    ask_ahead(catalog, question.asks, question.settled)
    first = _Loop(question, catalog)
    outcome = first.run()
    last = first
    if outcome is None and not question.options.compile:
        # A release without a fitting wheel would be compiled in the image; better than nothing.
        options = replace(question.options, compile=True)
        last = _Loop(replace(question, options=options), catalog)
        outcome = last.run()
    if outcome is not None:
        return outcome
    report_unknown(question.asks, catalog)
    if not explain:
        return Conflict(())
    from .open_explain import explained_conflict

    return with_gaps(explained_conflict(first.question, first.problems(), catalog), catalog)


class _Loop:
    """The state of one search: what is barred, taken for granted, and limited."""

    def __init__(self, question: Question, catalog: Catalog) -> None:
        self.question = question
        self._catalog = catalog
        self._forced: dict[str, Requirement] = {}
        self._strict = False
        self._refuted: list[Relation] = []
        self._names: frozenset[str] = frozenset()
        self._gaps: frozenset[str] = frozenset()
        self._advice: dict[str, str] = {}
        self._batches: dict[str, int] = {}
        self._corrections: dict[Correction, None] = {}
        self._dropped: set[Correction] = set()
        self._problem: Problem | None = None

    def run(self) -> Agreement | None:
        """What was agreed on; None when there is nothing."""
        for turn in range(1, MAX_TURNS + 1):
            chosen = self._assign()
            if chosen is None:
                if self._forced:
                    # What was taken for granted need not be: from here on only facts count.
                    self._forced, self._strict = {}, True
                    continue
                return None
            resolution = self._resolution(chosen)
            view = self._view(chosen, resolution)
            outcome = self._resolve(view, resolution)
            if isinstance(outcome, OpenFailure) and outcome.names <= self._names:
                # The solver knew all that clashed, and found an answer all the same.
                outcome = self._resolve(self._advised(view), resolution)
            if isinstance(outcome, Missing):
                self._force(outcome)
            elif isinstance(outcome, Lacking):
                self._gaps |= {outcome.name}
                self._names |= {outcome.name}
            elif isinstance(outcome, OpenFailure):
                self._learn(outcome, chosen, resolution, view)
            elif not (self._correct(outcome) or self._outdates(outcome, view)):
                idle = self._idle(chosen, outcome)
                return self._agreement(resolution, outcome, view, turn, idle)
        raise CogpackError(f"the two solvers did not agree in {MAX_TURNS} turns")

    def _resolve(self, view: View, resolution: Resolution) -> Outcome:
        return resolve_open(
            view,
            self._asks(resolution),
            self._fixed(resolution),
            limits=self._limits(),
            gaps=self._gaps,
            strict=self._strict,
        )

    def _advised(self, view: View) -> View:
        """A view that tries the solver's own choice of each package first.

        When resolvelib jumps back it may pass over the package that was at fault.
        """
        prefer = dict(view.options.prefer) | self._advice
        options = replace(view.options, prefer=tuple(sorted(prefer.items())))
        return View(view.catalog, view.index, view.target, options)

    def problems(self) -> Iterator[Problem]:
        """What may have no solution, the best to explain first; the last one surely has none.

        First what the packages that clashed say of themselves, then all that was read, then also
        that assignments failed.
        """
        yield self._pose(with_refuted=False)
        asked = (*self._catalog.pages, *self._catalog.missing)
        self._names = frozenset(name for name, _ in asked)
        yield self._pose(with_refuted=False)
        yield self._pose(with_refuted=True)

    # The matrix

    def _assign(self) -> Mapping[str, Candidate] | None:
        problem = self._pose(with_refuted=True)
        self._problem = problem
        names = self._matrix_names
        question = self.question
        asked = {ask.name for ask in question.asks if not ask.constraint}
        policy, moved = wishful(
            question.policy,
            sorted(asked & problem.universe.packages.keys()),
            sorted(question.upgrade & names),
            question.keep,
        )
        # Of what nobody named any version will do here: resolvelib takes the newest.
        with Engine(problem.universe, problem.requirements) as engine:
            optimum = engine.optimum(policy, {*names, *asked, *moved})
        if optimum is None:
            return None
        self._advice = {
            name: one.label
            for name, one in optimum.chosen.items()
            if name in self._names and name not in names and one.version is not None
        }
        return {name: one for name, one in optimum.chosen.items() if name in names}

    def _pose(self, *, with_refuted: bool) -> Problem:
        question = self.question
        wanted = (*question.requirements, *self._forced.values())
        # Packages are resolved for a Python, also when no line that named one is left.
        if all(one.package != "python" for one in wanted):
            wanted = (*wanted, Requirement("python", "", Origin(asker="every project")))
        roots = {one.package for one in wanted}
        if self._names:
            roots |= self._names & question.settled
        matrix = question.universe(frozenset(roots))
        # Versions that the tables do not know are filled in before the indexes are laid over them.
        matrix = prepare(wanted, matrix, question.source).universe
        self._matrix_names = frozenset(matrix.packages)
        kept, keepers = keeping(question.keep, matrix)
        wanted = (*wanted, *kept)
        matrix = matrix.extended(keepers)
        if not self._names:
            return prepare(wanted, matrix)
        known = learned(
            self._catalog,
            matrix,
            question.settled,
            question.asks,
            question.machine,
            question.options,
            self._refuted if with_refuted else (),
            self._names - question.own,
            {(one.package, one.origin) for one in question.requirements if not one.brings},
            self._forced.values(),
        )
        return prepare((*wanted, *known.requirements), known.universe)

    def _resolution(self, chosen: Mapping[str, Candidate]) -> Resolution:
        assert self._problem is not None  # noqa: S101  # `_assign` has made it
        return resolution_of(self._problem.requirements, chosen)

    # The indexes

    def _view(self, chosen: Mapping[str, Candidate], resolution: Resolution) -> View:
        pinned = {
            choice.package: _location(choice.index)
            for choice in resolution
            if choice.index and choice.package in self.question.settled
        }
        # Of an image that is not known a glibc is assumed, and no part of the resolution.
        glibc = chosen["glibc"].version if "glibc" in chosen else None
        target = Target(
            Version(resolution["python"].version),
            (glibc.major, glibc.minor) if glibc is not None else None,
            self.question.machine,
        )
        return self._catalog.view(target, self.question.options, pinned)

    def _fixed(self, resolution: Resolution) -> dict[str, Version | None]:
        found: dict[str, Version | None] = {}
        for name in sorted(self.question.settled):
            choice = resolution.get(name)
            found[name] = Version(choice.version) if choice is not None else None
        return found

    def _asks(self, resolution: Resolution) -> tuple[Ask, ...]:
        """The user's asks, with the extras that bring CUDA where the matrix chose packages."""
        asks = list(self.question.asks)
        for name, mode in CUDA_EXTRAS.items():
            choice, source = resolution.get(name), resolution.get(mode)
            if choice is not None and source is not None and source.version != _IMAGE_CUDA:
                origin = choice.because[0] if choice.because else Origin(asker=name)
                asks.append(Ask(origin, name, extras=(source.version,)))
        return tuple(asks)

    def _force(self, missing: Missing) -> None:
        """Take the need of a matrix package for granted; facts decide if that fails."""
        before = self._forced.get(missing.name)
        specifier = ",".join(filter(None, [before.specifier if before else "", missing.specifier]))
        origin = Origin(asker=missing.needed_by, text=f"{missing.name}{missing.specifier}")
        forced = Requirement(missing.name, specifier, origin)
        if before is not None and before.specifier == specifier:
            self._forced, self._strict = {}, True
        else:
            self._forced[missing.name] = forced

    def _learn(
        self,
        failure: OpenFailure,
        chosen: Mapping[str, Candidate],
        resolution: Resolution,
        view: View,
    ) -> None:
        """Take the clash into the universe, and bar the assignment."""
        if self._corrections:
            # A correction is a wish: it goes before anything that somebody asked for.
            self._dropped.update(self._corrections)
            self._corrections = {}
            return
        self._refuted.append(barred(chosen, failure, self._problem))
        self._names |= failure.names
        self._widen(failure, resolution, view)

    def _widen(self, failure: OpenFailure, resolution: Resolution, view: View) -> None:
        """Read more releases of the settled packages that clashed: each else costs a turn."""
        fixed = self._fixed(resolution)
        releases = []
        for name in sorted(failure.names & self.question.settled):
            settled = fixed.get(name)
            if settled is None or view.page(name) is None:
                continue
            batch = self._batches[name] = 2 * self._batches.get(name, _FIRST_BATCH // 2)
            older = (one for one in view.versions(name) if one < settled)
            offers = (view.offer(name, one) for one in older)
            releases += list(islice((one for one in offers if one is not None), batch))
        view.prefetch(releases)
        for offer in releases:
            view.metadata(offer)

    # Known overrides

    def _limits(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in self._corrections:
            found.setdefault(one.package, []).append(one.specifier)
        return found

    def _correct(self, solution: OpenSolution) -> bool:
        """Take up corrections that the solution misses; whether there were any."""
        fresh = [
            one
            for one in corrections(self.question.overrides, solution)
            if one not in self._dropped and one not in self._corrections
        ]
        self._corrections.update(dict.fromkeys(fresh))
        return bool(fresh)

    def _outdates(self, solution: OpenSolution, view: View) -> bool:
        """Whether the Python, that nobody asked for, keeps a package that somebody named old.

        Then its page is taken into the universe, and the assignment made anew.
        """
        if any(one.package == "python" and one.specifier for one in self.question.requirements):
            return False
        limits = {
            name: [range_of(one.specifier) for one in self.question.asks if one.name == name]
            for name in {ask.name for ask in self.question.asks if not ask.constraint}
        }
        kept_old = {
            one.name
            for one in solution.packages
            if one.name in limits
            and one.name not in {*self._names, *self.question.settled}
            and one.offer.ask is None
            and is_behind(one, limits[one.name], view)
        }
        self._names |= kept_old
        return bool(kept_old)

    def _idle(self, chosen: Mapping[str, Candidate], solution: OpenSolution) -> frozenset[str]:
        """What was taken for granted, and then neither installed nor needed by what the rest is."""
        idle = set(self._forced) - {one.name for one in solution.packages}
        queue = sorted(chosen.keys() - idle)
        while queue:
            needed = idle.intersection(needs(chosen[queue.pop()], chosen))
            idle -= needed
            queue += sorted(needed)
        return frozenset(idle)

    def _agreement(
        self,
        resolution: Resolution,
        solution: OpenSolution,
        view: View,
        turn: int,
        idle: frozenset[str],
    ) -> Agreement:
        versions = {one.name: str(one.version) for one in solution.packages}
        # Of a library that the tables know as well, the release that the indexes agreed to counts.
        choices = tuple(
            choice
            if choice.package in self.question.settled | self.question.own
            else replace(choice, version=versions.get(choice.package, choice.version))
            for choice in resolution
            if choice.package not in idle
        )
        told = [
            *self._corrections,
            *(replace(one, kept=False) for one in self._dropped),
        ]
        warnings = [
            *resolution.warnings,
            *(f"known override {one.text}" for one in sorted(told) if not one.kept),
            *oddities(solution, view),
        ]
        final = replace(resolution, choices=choices, warnings=tuple(warnings))
        return Agreement(final, solution, view.target, view.index, tuple(sorted(told)), turn)


def _location(url: str) -> Location:
    return parse_location(url, origin="the index of the chosen build")
