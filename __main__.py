"""`python -m cogpack`."""

from .cli import main

main()
