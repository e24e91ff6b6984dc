"""The project's own package, installed as uv does it."""


def shout(text: str) -> str:
    """The text, louder."""
    return f"{text.upper()}!"
