"""cogpack: container images of machine-learning projects, with solved versions."""

__version__ = "0.1.0"
