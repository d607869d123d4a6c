"""The file of withdrawn tokens is understood completely or not at all."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from policies.revocation import Revocation, read_file
from protos.errors import PenstockError


def listed(folder: Path, text: str) -> set[tuple[str, str]]:
    path = folder / "revoked"
    path.write_text(text)
    return set(read_file(path))


def test_a_line_is_an_issuer_and_a_token(tmp_path: Path) -> None:
    text = "# left us in May\ncompany 5f2c\n\n  partner  a b c  \r\ncompany 5f2c"
    assert listed(tmp_path, text) == {("company", "5f2c"), ("partner", "a b c")}
    assert listed(tmp_path, "") == set()


@pytest.mark.parametrize("text", ["5f2c", "company 1\n5f2c\n", "company "])
def test_a_line_that_is_not_understood_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(PenstockError, match=r"line [12]: is not an issuer and a jti"):
        listed(tmp_path, text)


def test_a_file_that_cannot_be_read_is_no_empty_list(tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match="can't be read: No such file"):
        read_file(tmp_path / "none")
    (tmp_path / "latin").write_bytes(b"company \xe9")
    with pytest.raises(PenstockError, match="it is not UTF-8"):
        read_file(tmp_path / "latin")


def test_the_list_is_somewhere() -> None:
    with pytest.raises(ValidationError, match="names a file, or says `store: true`"):
        Revocation.model_validate({})
    assert Revocation.model_validate({"store": True}).keep == 3600.0
