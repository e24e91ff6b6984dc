"""Registries of container images: which digest a reference has, which tags a repository has.

Credentials are those of `docker login`. Pulling and pushing is the builder's business, package
indexes are `index`'s; how HTTP is spoken is taken from there.
"""

from .docker_config import Credential, DockerConfig, config_folder, credential, load_config

__all__ = ["Credential", "DockerConfig", "config_folder", "credential", "load_config"]
