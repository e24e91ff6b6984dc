"""No credential is shown, and nothing else is lost."""

from __future__ import annotations

import pytest

from cogpack.project.redact import Url, quote_text, redact, variables


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("https://host/path", "https://host/path"),
        ("https://user:pass@host/path", "https://****@host/path"),
        ("https://token@host:8080/path", "https://****@host:8080/path"),
        ("https://us@er:pa@ss@host/", "https://****@host/"),
        ("https://user:pa/ss@host/path", "https://****@host/path"),
        ("https://user:pa?s#s@host/path", "https://****@host/path"),
        ("https://${USER}:${PASS}@host/", "https://${USER}:${PASS}@host/"),
        ("https://user:${PASS}@host/", "https://user:${PASS}@host/"),
        ("https://${TOKEN}@host/", "https://${TOKEN}@host/"),
        ("git+ssh://git@host/r.git@v1", "git+ssh://git@host/r.git@v1"),
        ("git+ssh://git:pw@host/r.git", "git+ssh://****@host/r.git"),
        ("https://host/x?token=abc&b=${B}#egg=x", "https://host/x?token=****&b=${B}#egg=x"),
        ("https://host/x#sha256=abc?", "https://host/x#sha256=abc?"),
        ("-i 'https://u:p@h/'  -f https://u:p@g/", "-i 'https://****@h/'  -f https://****@g/"),
        ("a@https://u:p@h/x?next=https://u:p@g/", "a@https://****@h/x?next=****"),
        ("https://h/https://u:p@g/", "https://h/https://****@g/"),
    ],
)
def test_credentials_are_masked(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


def test_a_url_shows_itself_without_credentials() -> None:
    url = Url("https://user:pass@host/${NAME}")
    assert f"{url}" == "https://****@host/${NAME}"
    assert repr(url) == "Url('https://****@host/${NAME}')"
    assert url.raw == "https://user:pass@host/${NAME}"
    assert url.has_credentials
    assert url.variables == ("NAME",)
    assert not Url("https://host/").is_secret
    assert Url("https://${A}@host/").is_secret
    assert not Url("https://${A}@host/").has_credentials


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("${A} ${B_1} ${A}", ("A", "B_1")),
        ("$A ${a} ${} ${A", ()),
        ("${A-x}${C}", ("C",)),
    ],
)
def test_variables_are_those_that_pip_expands(text: str, names: tuple[str, ...]) -> None:
    assert variables(text) == names


def test_quoted_text_is_one_short_printable_line() -> None:
    assert quote_text("  a\nb") == "a …"
    assert quote_text("x" * 300) == "x" * 200 + " …"
    assert quote_text("red\x1b[31m") == "red\\x1b[31m"
    assert quote_text("") == ""
