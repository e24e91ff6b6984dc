"""Credentials: where they are found, who gets them, and that nobody sees them."""

from __future__ import annotations

import stat
import sys
import types
from collections.abc import Mapping
from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.index import CredentialBook, Fetcher, IndexClient, Location, parse_location
from cogpack.index.credentials import keyring_lookup
from cogpack.index.location import Credential
from support.index_server import Dist, serve

SECRET = "s3cr3t/+@"


def client_for(
    location: Location,
    environ: Mapping[str, str],
    cache: Path | None = None,
    *,
    keyring: bool = False,
) -> IndexClient:
    book = CredentialBook([location], environ, use_keyring=keyring)
    return IndexClient(cache, fetcher=Fetcher(credentials=book))


def everything_under(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_credential_in_the_url(tmp_path: Path) -> None:
    with serve({"foo": [Dist("1.0", sibling=False)]}, auth=("me", SECRET)) as server:
        location = parse_location(server.with_credential("me", SECRET))
        with client_for(location, {}, tmp_path) as client:
            page = client.page(location, "foo")
            assert page is not None
            client.metadata("foo", page.files, location)
        shown = repr(location) + location.display + repr(page) + repr(page.files)
    assert SECRET not in shown
    assert "s3cr3t" not in shown
    assert "me:" not in shown
    assert b"s3cr3t" not in everything_under(tmp_path)


def test_uv_variables_of_a_named_index() -> None:
    environ = {"UV_INDEX_ACME_CORP_USERNAME": "me", "UV_INDEX_ACME_CORP_PASSWORD": SECRET}
    with serve({"foo": [Dist("1.0")]}, auth=("me", SECRET)) as server:
        location = parse_location(f"acme-corp={server.url}")
        assert location.name == "acme-corp"
        with client_for(location, environ) as client:
            assert client.page(location, "foo") is not None


def test_netrc(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    netrc.chmod(stat.S_IRUSR)
    with serve({"foo": [Dist("1.0")]}, auth=("me", SECRET)) as server:
        location = parse_location(server.url)
        with client_for(location, {"NETRC": str(netrc)}) as client:
            assert client.page(location, "foo") is not None


@pytest.mark.parametrize("text", ["default login me password p\n", "machine\n"])
def test_netrc_without_an_entry_for_the_host(tmp_path: Path, text: str) -> None:
    (tmp_path / ".netrc").write_text(text)
    book = CredentialBook(environ={"HOME": str(tmp_path)})
    assert book.known("https://x.invalid/") is None
    assert any("netrc" in source for source in book.tried("https://x.invalid/"))


def test_the_url_counts_before_the_variables_and_these_before_netrc(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine x.invalid login netrc password p\n")
    variables = {"UV_INDEX_A_USERNAME": "env", "UV_INDEX_A_PASSWORD": "p"}
    url = "https://x.invalid/simple/"
    in_url, named = parse_location("a=https://url:p@x.invalid/simple"), parse_location(f"a={url}")
    found = [
        CredentialBook([location], {"NETRC": str(netrc), **environ}).known(url)
        for location, environ in ((in_url, variables), (named, variables), (named, {}))
    ]
    assert [item.username for item in found if item] == ["url", "env", "netrc"]


def test_the_index_with_the_longest_common_path_counts() -> None:
    first = parse_location("https://one:p@x.invalid/one/simple/")
    second = parse_location("https://two:p@x.invalid/two/simple/")
    book = CredentialBook([first, second])
    for url, username in (("one/simple/foo/", "one"), ("two/simple/foo/", "two")):
        found = book.known(f"https://x.invalid/{url}")
        assert found is not None
        assert found.username == username


@pytest.mark.parametrize(
    "url",
    ["https://y.invalid/simple/", "http://x.invalid/simple/", "https://x.invalid:444/simple/"],
)
def test_a_credential_belongs_to_one_origin(url: str) -> None:
    book = CredentialBook([parse_location("https://me:p@x.invalid/simple/")])
    assert book.known("https://x.invalid:443/other/") is not None
    assert book.known(url) is None


def test_a_redirect_to_another_host_gets_no_credential() -> None:
    with (
        serve({"foo": [Dist("1.0")]}, host="localhost") as other,
        serve({}, auth=("me", SECRET)) as server,
    ):
        host, _, rest = other.url.partition("://")
        target = f"{host}://thief:bait@{rest}foo/"
        location = parse_location(server.with_credential("me", SECRET))
        server.fail("/foo/", status=302, headers={"location": target})
        with client_for(location, {}) as client:
            assert client.page(location, "foo") is not None
        assert "authorization" in server.requests[0].headers
        assert all("authorization" not in item.headers for item in other.requests)


def test_a_refusal_names_the_index_and_the_sources_and_no_secret() -> None:
    with serve({"foo": [Dist("1.0")]}, auth=("me", SECRET)) as server:
        location = parse_location(
            server.url.replace("://", "://me:wr0ng@"), origin="requirements.txt:1"
        )
        with client_for(location, {}) as client, pytest.raises(UserError) as raised:
            client.page(location, "foo")
        fault = raised.value.faults[0]
        assert fault.message.startswith(f"package index {server.url} (requirements.txt:1) refused")
        assert "the credential from the URL" in fault.message
        assert "answered 401" in fault.message
        assert "netrc" in fault.hint
        assert "wr0ng" not in fault.message + fault.hint
        plain = parse_location(server.url)
        with client_for(plain, {}) as client, pytest.raises(UserError) as raised:
            client.page(plain, "foo")
        assert "a request without a credential" in raised.value.faults[0].message


def test_a_403_means_absent_only_on_an_index_known_for_it() -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=403)
        location = parse_location(server.url)
        with client_for(location, {}) as client, pytest.raises(UserError, match="403"):
            client.page(location, "foo")
    assert parse_location("https://download.pytorch.org/whl/cpu").forbidden_is_absent
    assert not parse_location("https://x.invalid/whl/cpu").forbidden_is_absent


class Keyring(types.ModuleType):
    """A stand-in for the keyring library."""

    def __init__(self, found: Mapping[str, tuple[str, str]]) -> None:
        super().__init__("keyring")
        self.found = found
        self.asked: list[tuple[str, str | None]] = []

    def get_credential(self, service: str, username: str | None) -> object:
        self.asked.append((service, username))
        if service not in self.found:
            return None
        name, password = self.found[service]
        return types.SimpleNamespace(username=name, password=password)


def test_the_keyring_is_asked_once_and_only_after_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve({"foo": [Dist("1.0")], "bar": [Dist("1.0")]}, auth=("me", SECRET)) as server:
        keyring = Keyring({server.url: ("me", SECRET)})
        monkeypatch.setitem(sys.modules, "keyring", keyring)
        location = parse_location(server.url.replace("://", "://me@"))
        with client_for(location, {}, keyring=True) as client:
            assert client.page(location, "foo") is not None
            assert client.page(location, "bar") is not None
        assert keyring.asked == [(server.url, "me")]
        assert server.count() == 3
    with serve({"foo": [Dist("1.0")]}) as server:
        open_location = parse_location(server.url)
        with client_for(open_location, {}, keyring=True) as client:
            assert client.page(open_location, "foo") is not None
    assert len(keyring.asked) == 1


def test_a_keyring_that_fails_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(service: str, username: str | None) -> object:
        raise OSError("no backend")

    keyring = Keyring({})
    monkeypatch.setattr(keyring, "get_credential", fail)
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    assert keyring_lookup("https://x.invalid/", None) is None


@pytest.mark.parametrize(
    ("script", "username", "expected"),
    [
        ('echo \'{"username": "me", "password": "p"}\'', None, ("me", "p")),
        ('[ "$1" = get ] && [ "$3" = you ] && echo "a b"', "you", ("you", "a b")),
        ("exit 1", "you", None),
        ("echo no json", None, None),
    ],
)
def test_the_keyring_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    username: str | None,
    expected: tuple[str, str] | None,
) -> None:
    program = tmp_path / "keyring"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setitem(sys.modules, "keyring", None)
    found = keyring_lookup("https://x.invalid/", username)
    assert (found and (found.username, found.password)) == expected


def test_a_credential_does_not_print_itself() -> None:
    shown = f"{Credential('me', SECRET, 'netrc')!r} {Credential('me', SECRET, 'netrc')}"
    assert SECRET not in shown
    assert "me" not in shown.replace("username", "")
