"""Kinds of projects, and the way from a folder to a plan; see `compose`."""
