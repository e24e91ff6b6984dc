"""A development builder: a real BuildKit on a bare Debian machine, from Debian's packages.

Standard library only, so that it runs before anything is installed. `dev/builder.py` is its
command line; nothing here belongs to the product, and the product knows nothing of it.
"""
