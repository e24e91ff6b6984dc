"""A package that runs from its folder in the project."""

WORD = "editable"
