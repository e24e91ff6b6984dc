"""A client for BuildKit: finding a daemon, resolving images, building, exporting, progress.

It loads gRPC, so import it only where a build is about to happen.
"""

import os

# gRPC's core writes to the terminal by itself; what concerns the user comes as an exception. It
# reads this when it is loaded, which the imports below do.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from .client import Client, DaemonInfo  # see above
from .endpoint import Endpoint, find_daemon
from .events import Event, Log, Transfer, Vertex, Warn
from .export import STDOUT, Export, parse_output
from .failures import (
    BuildCancelled,
    EntitlementRefused,
    ImageNotFound,
    StepFailed,
)
from .gateway import Bridge
from .progress import PlainPrinter
from .session import new_session_id
from .solve import SolveOptions, SolveResult

__all__ = [
    "STDOUT",
    "Bridge",
    "BuildCancelled",
    "Client",
    "DaemonInfo",
    "Endpoint",
    "EntitlementRefused",
    "Event",
    "Export",
    "ImageNotFound",
    "Log",
    "PlainPrinter",
    "SolveOptions",
    "SolveResult",
    "StepFailed",
    "Transfer",
    "Vertex",
    "Warn",
    "find_daemon",
    "new_session_id",
    "parse_output",
]
