"""Which indexes a run uses: the project, uv's and pip's configuration, a library's constant."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.index import (
    HttpSettings,
    IndexOptions,
    Setting,
    default_index_url,
    find_sources,
    parse_location,
)
from cogpack.index.pipconf import read_pip
from cogpack.index.settings import http_settings, hurried, open_client, patience
from cogpack.index.uvconf import read_uv

A, B, C, D = (f"https://{name}.invalid/simple/" for name in "abcd")


NOWHERE = Path("/nonexistent")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing of this machine counts."""
    return {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
    }


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def urls(environ: Mapping[str, str], options: IndexOptions | None = None) -> tuple[str | None, ...]:
    sources = find_sources(environ, options, system=NOWHERE)
    places = (sources.default, *sources.extra, *sources.find_links)
    return tuple(place.url if place else None for place in places)


def test_without_any_configuration_the_default_is_the_library_constant(
    home: dict[str, str],
) -> None:
    import pypi_simple

    assert default_index_url() == pypi_simple.PYPI_SIMPLE_ENDPOINT
    assert urls(home) == (pypi_simple.PYPI_SIMPLE_ENDPOINT,)


def test_the_order_of_the_sources(home: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "config/uv/uv.toml", f'index-url = "{A}"')
    assert urls(home)[0] == A
    write(tmp_path / "pip.conf", f"[global]\nindex-url = {B}\n")
    assert urls(home)[0] == B
    assert urls({**home, "PIP_INDEX_URL": C})[0] == C
    assert urls({**home, "PIP_INDEX_URL": C, "UV_INDEX_URL": D})[0] == D
    assert urls({**home, "UV_INDEX_URL": D, "UV_DEFAULT_INDEX": f"own={A}"})[0] == A
    options = IndexOptions(index_url=Setting("https://own.invalid/s", "requirements.txt:1"))
    assert urls({**home, "UV_INDEX_URL": D}, options)[0] == "https://own.invalid/s/"


def test_extra_indexes_keep_the_order_project_uv_pip(home: dict[str, str]) -> None:
    environ = {**home, "UV_INDEX": f"one={B} {C}", "PIP_EXTRA_INDEX_URL": f"{D} {C}"}
    options = IndexOptions(extra_index_urls=(Setting(A, "-r x"),))
    assert urls(environ, options)[1:] == (A, B, C, D)


def test_no_index_leaves_only_find_links(home: dict[str, str], tmp_path: Path) -> None:
    options = IndexOptions(
        find_links=(Setting("wheels", "requirements.txt:1"),), no_index=True, base=tmp_path
    )
    assert urls({**home, "PIP_EXTRA_INDEX_URL": A}, options) == (
        None,
        (tmp_path / "wheels").as_uri(),
    )
    assert find_sources({**home, "PIP_NO_INDEX": "1"}).default is None


def test_folders_of_the_machine_are_left_out_with_a_note(home: dict[str, str]) -> None:
    environ = {**home, "PIP_EXTRA_INDEX_URL": f"file:///opt/simple {A}", "PIP_FIND_LINKS": "/opt/w"}
    sources = find_sources(environ, system=NOWHERE)
    assert [place.url for place in sources.extra] == [A]
    assert sources.find_links == ()
    assert [note.split()[0] for note in sources.notes] == ["PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"]
    assert all("does not exist in the image" in note for note in sources.notes)


def test_a_local_default_of_the_machine_gives_way_to_the_constant(home: dict[str, str]) -> None:
    assert urls({**home, "PIP_INDEX_URL": "file:///opt/simple"}) == (default_index_url(),)


def test_pip_files_count_in_pips_order(home: dict[str, str], tmp_path: Path) -> None:
    del home["PIP_CONFIG_FILE"]
    prefix = str(tmp_path / "prefix")
    write(tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = one\ncert = /ca.pem\n")
    write(tmp_path / "home/.pip/pip.conf", "[global]\nindex_url = two\n")
    write(tmp_path / "config/pip/pip.conf", "[global]\nindex-url = three\n")
    settings = read_pip(home, system=NOWHERE, prefix=prefix)
    found = settings.one("index-url")
    assert found == Setting("three", f"index-url in {tmp_path}/config/pip/pip.conf")
    assert settings.one("cert") == Setting("/ca.pem", f"cert in {tmp_path}/xdg/pip/pip.conf")
    site = write(tmp_path / "prefix/pip.conf", "[install]\nindex-url = four\n")
    assert read_pip(home, system=NOWHERE, prefix=prefix).one("index-url") == Setting(
        "four", f"index-url in {site}"
    )
    named = write(tmp_path / "named.conf", "[global]\nextra-index-url =\n  five\n  six\n")
    settings = read_pip({**home, "PIP_CONFIG_FILE": str(named)}, system=NOWHERE, prefix=prefix)
    assert [item.text for item in settings.many("extra-index-url")] == ["five", "six"]
    assert (
        read_pip({**home, "PIP_CONFIG_FILE": "/dev/null"}, system=NOWHERE, prefix=prefix).settings
        == {}
    )


def test_a_malformed_pip_file_is_named_with_its_line(home: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "pip.conf", "index-url = https://me:s3cret@x\n")
    with pytest.raises(UserError, match=r"pip\.conf:1: pip's configuration") as raised:
        find_sources(home, system=NOWHERE)
    assert "s3cret" not in str(raised.value)


def test_uv_toml(home: dict[str, str], tmp_path: Path) -> None:
    write(
        tmp_path / "config/uv/uv.toml",
        f"""
        extra-index-url = ["{B}"]
        find-links = ["https://links.invalid/page.html"]
        [[index]]
        name = "torch"
        url = "{C}"
        explicit = true
        [[index]]
        name = "corp"
        url = "{A}"
        default = true
        [[index]]
        url = "{D}"
        """,
    )
    config = read_uv(home, system=NOWHERE)
    assert config.default is not None
    assert config.default.text == f"corp={A}"
    assert [item.text for item in config.extra] == [D, B]
    assert urls(home) == (A, D, B, "https://links.invalid/page.html")
    assert read_uv({**home, "UV_NO_CONFIG": "1"}, system=NOWHERE).default is None
    assert read_uv({**home, "UV_INDEX": C}, system=NOWHERE).extra == (Setting(C, "UV_INDEX"),)


def test_a_malformed_uv_toml_is_named(home: dict[str, str], tmp_path: Path) -> None:
    named = write(tmp_path / "my.toml", "index = [")
    with pytest.raises(UserError, match=r"my\.toml: uv's configuration is no TOML"):
        find_sources({**home, "UV_CONFIG_FILE": str(named)})


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://x.invalid/simple", "https://x.invalid/simple/"),
        ("https://u:p@x.invalid:8080/a/", "https://x.invalid:8080/a/"),
        ("corp=https://x.invalid/s", "https://x.invalid/s/"),
        ("https://${TOKEN}@x.invalid/s", "https://x.invalid/s/"),
        ("file:///srv/a%20b", "file:///srv/a%20b/"),
        ("/srv/a b", "file:///srv/a%20b/"),
        ("wheels", "file:///base/wheels/"),
        ("./a=b", "file:///base/a%3Db/"),
    ],
)
def test_locations(text: str, url: str) -> None:
    found = parse_location(text, base=Path("/base"), environ={"TOKEN": "t"})
    assert found.url == url


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://u:s3cret@x.invalid/s", "scheme 'ftp' is not supported"),
        ("https://${MISSING}@x.invalid/", "the variable MISSING, which is not set"),
        ("https://[x", "malformed"),
    ],
)
def test_what_is_no_location(text: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as raised:
        parse_location(text, origin="requirements.txt:7")
    assert str(raised.value).startswith("requirements.txt:7: ")
    assert "s3cret" not in str(raised.value)


def test_messages_show_no_values_of_a_query() -> None:
    flat = parse_location("https://x.invalid/page.html?token=s3cret&full", kind="flat")
    assert "s3cret" in flat.url
    assert flat.display == "https://x.invalid/page.html?token=****&****"


def test_certificates_time_limits_and_trusted_hosts(home: dict[str, str]) -> None:
    environ = {**home, "PIP_CERT": "/pip.pem", "PIP_TIMEOUT": "180", "PIP_TRUSTED_HOST": "a b:8080"}
    settings = http_settings(environ, read_pip(environ, system=NOWHERE), ["c"])
    assert settings.ca_file == Path("/pip.pem")
    assert (settings.read_seconds, settings.total_seconds) == (180.0, 360.0)
    assert settings.trusted_hosts == ("c", "a", "b:8080")
    bundle = {**home, "REQUESTS_CA_BUNDLE": "/requests.pem"}
    assert http_settings(bundle, read_pip(bundle, system=NOWHERE)).ca_file == Path("/requests.pem")
    httpx_reads = {**environ, "SSL_CERT_FILE": "/ssl.pem"}
    assert http_settings(httpx_reads, read_pip(httpx_reads, system=NOWHERE)).ca_file is None
    with pytest.raises(UserError, match="PIP_TIMEOUT: 'soon' is no number of seconds"):
        http_settings(home, read_pip({**home, "PIP_TIMEOUT": "soon"}))


def test_freshness_is_a_setting(home: dict[str, str], tmp_path: Path) -> None:
    environ = {**home, "COGPACK_CACHE": str(tmp_path), "COGPACK_INDEX_FRESHNESS": "5"}
    sources = find_sources(environ, system=NOWHERE)
    with open_client(environ, sources, offline=True) as client:
        assert (client.policy.freshness, client.policy.offline) == (5, True)
    with pytest.raises(UserError, match="COGPACK_INDEX_FRESHNESS: 'x' is no number"):
        open_client({**environ, "COGPACK_INDEX_FRESHNESS": "x"}, sources)


def test_patience_is_a_setting_and_connecting_gets_a_part_of_it() -> None:
    assert patience({}) == 10.0
    assert patience({"COGPACK_PATIENCE": " 2.5 "}) == 2.5
    for text in ("soon", "0", "-1", "nan", "inf"):
        with pytest.raises(UserError, match=f"COGPACK_PATIENCE: '{text}' is no number"):
            patience({"COGPACK_PATIENCE": text})
    short = hurried(HttpSettings(), 10.0)
    assert (short.connect_seconds, short.read_seconds, short.total_seconds) == (3.0, 5.0, 10.0)
    long = hurried(HttpSettings(), 300.0)
    assert (long.connect_seconds, long.read_seconds, long.total_seconds) == (10.0, 30.0, 90.0)


def test_nothing_costly_is_loaded_before_it_is_needed() -> None:
    code = (
        "import os, sys, cogpack.index as index; index.find_sources(os.environ); "
        "print([name for name in ('httpx', 'hishel', 'selectolax', 'pypi_simple', 'tenacity') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("seconds", ["inf", "1e400", "1e300"])
def test_a_time_limit_that_no_socket_takes_is_a_day(seconds: str, home: dict[str, str]) -> None:
    pip = read_pip({**home, "PIP_TIMEOUT": seconds}, system=NOWHERE)
    assert http_settings(home, pip).read_seconds == 86_400


def test_a_user_that_is_not_there_is_part_of_a_path(home: dict[str, str], tmp_path: Path) -> None:
    pip = read_pip({**home, "PIP_CERT": "~no-such-user/ca.pem"}, system=NOWHERE)
    assert http_settings(home, pip).ca_file == Path("~no-such-user/ca.pem")
    assert parse_location("~no-such-user/x", base=tmp_path).is_local


def test_a_url_without_a_host_is_refused_without_its_credential() -> None:
    with pytest.raises(UserError) as caught:
        parse_location("https:/me:s3cr3t@host.invalid/simple", origin="PIP_INDEX_URL")
    [fault] = caught.value.faults
    assert "PIP_INDEX_URL: the URL names no host" in fault.message
    assert "s3cr3t" not in f"{fault} {fault.hint}"


def test_a_configuration_that_is_no_file_or_nested_too_deeply(
    home: dict[str, str], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pip.conf")
    assert not read_pip(home, system=NOWHERE, prefix=str(NOWHERE)).settings
    write(tmp_path / "config" / "uv" / "uv.toml", "a=" + "[" * 5000)
    with pytest.raises(UserError, match="uv's configuration is no TOML"):
        read_uv(home, system=NOWHERE)


def test_a_freshness_of_too_many_digits_is_told(home: dict[str, str]) -> None:
    environ = {**home, "COGPACK_INDEX_FRESHNESS": "9" * 5000}
    with pytest.raises(UserError, match="is no number of seconds"):
        open_client(environ, find_sources(environ, system=NOWHERE))
