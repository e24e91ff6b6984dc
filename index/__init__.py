"""Reads package indexes: pages (PEP 503, 691, 700, 592), metadata (PEP 658), a cache on disk.

`find_sources` says which indexes a project uses, `open_client` opens them, `IndexSet` answers a
resolver. A tool that reads one index asks `IndexClient` itself. This package knows nothing of the
matrix or of resolving.
"""

from .client import CachePolicy, IndexClient, OfflineError
from .credentials import CredentialBook
from .http import Fetcher, HttpSettings
from .indexset import IndexSet, Sources
from .location import Credential, Location, parse_location
from .metadata import Metadata, NoMetadata, parse_metadata
from .page import File, Page, python_specifier
from .pipconf import Setting
from .settings import IndexOptions, default_index_url, find_sources, open_client

__all__ = [
    "CachePolicy",
    "Credential",
    "CredentialBook",
    "Fetcher",
    "File",
    "HttpSettings",
    "IndexClient",
    "IndexOptions",
    "IndexSet",
    "Location",
    "Metadata",
    "NoMetadata",
    "OfflineError",
    "Page",
    "Setting",
    "Sources",
    "default_index_url",
    "find_sources",
    "open_client",
    "parse_location",
    "parse_metadata",
    "python_specifier",
]
