"""Keeps the tables current: reads package indexes, registries and Python's release lists.

Only `cogpack compat update` imports it: it loads an HTTP client.
"""
