"""Reading --output, and destinations that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.llb.client import Export, parse_output
from cogpack.llb.client.filesend import open_targets


@pytest.mark.parametrize(
    ("text", "export"),
    [
        ("type=oci,dest=out.tar", Export("oci", {}, "out.tar")),
        ("type=docker,dest=-,name=a/b:1", Export("docker", {"name": "a/b:1"}, "-")),
        ("type=local,dest=folder", Export("local", {}, "folder")),
        ("folder/sub", Export("local", {}, "folder/sub")),
        ("-", Export("tar", {}, "-")),
        ("type=image,name=x", Export("image", {"name": "x"})),
        ("type=registry,name=r/x", Export("image", {"name": "r/x", "push": "true"})),
        ('type=image,"name=a,b"', Export("image", {"name": "a,b"})),
        ('type=oci,"dest=with,comma.tar"', Export("oci", {}, "with,comma.tar")),
        (" TYPE=oci, dest=x=y.tar", Export("oci", {}, "x=y.tar")),
        (
            "type=oci,dest=o,compression=zstd,force-compression=true",
            Export("oci", {"compression": "zstd", "force-compression": "true"}, "o"),
        ),
    ],
)
def test_outputs(text: str, export: Export) -> None:
    assert parse_output(text) == export


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "--output is empty"),
        ("type=oci", "it has no dest"),
        ("type=local", "it has no dest"),
        ("type=local,dest=-", "cannot go to standard output"),
        ("type=zip,dest=x", "the type `zip` is unknown"),
        ("dest=x", "it has no type"),
        ("type=oci,dest", "`dest` is not of the form key=value"),
        ("type=oci,=x", "`=x` is not of the form"),
        ("type=oci,type=tar,dest=x", "`type` is given twice"),
        ("type=image,name=x,dest=y", "takes no dest"),
        ("type=registry", "pushing needs a name"),
        ("type=image,push=true", "pushing needs a name"),
        ('type=oci,"dest=x', "unexpected end of data"),
    ],
)
def test_what_is_wrong_with_an_output(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_output(text)


def test_the_origin_is_named() -> None:
    with pytest.raises(UserError, match=r"^-o type=zip: "):
        parse_output("type=zip", "-o")


def test_destinations_are_checked_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    faults = [
        (Export("oci", dest=str(tmp_path / "no" / "x.tar")), "there is no folder"),
        (Export("oci", dest=str(tmp_path / "folder")), "is a folder, and type=oci writes a file"),
        (Export("local", dest=str(tmp_path / "file")), "is a file, and type=local"),
    ]
    for export, says in faults:
        with pytest.raises(UserError, match=says):
            open_targets([export])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
