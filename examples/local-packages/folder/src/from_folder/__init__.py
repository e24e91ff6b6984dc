"""A package from a folder."""

WORD = "folder"
