"""What the record store may know of whose budget it is."""

from pathlib import Path

import pytest

from gateway.usage.pseudonyms import named_with, pseudonyms
from policies.limits.allowance import LimitId

PER_KEY = LimitId("fraud", "key/requests/month", 0)
ANN = "https://login.example.com\nann@example.com"


@pytest.mark.parametrize("per", ["tenant", "model", "route"])
def test_tenants_and_models_are_called_what_they_are(per: str) -> None:
    assert named_with(bytes(16))(LimitId("fraud", f"{per}/rows/day", 0), "acme") == "acme"


def test_a_subject_has_one_pseudonym_for_each_secret() -> None:
    called = named_with(bytes(16))(PER_KEY, ANN)
    assert len(called) == 32
    assert called == named_with(bytes(16))(PER_KEY, ANN)
    assert called != named_with(b"\x01" * 16)(PER_KEY, ANN)
    assert called != named_with(bytes(16))(PER_KEY, ANN.replace("ann", "bob"))


def test_it_outlives_the_process_where_there_is_a_folder_for_the_secret(tmp_path: Path) -> None:
    assert pseudonyms(tmp_path)(PER_KEY, ANN) == pseudonyms(tmp_path)(PER_KEY, ANN)


def test_without_one_it_is_this_processs_own(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "state"
    assert pseudonyms(folder)(PER_KEY, ANN) != pseudonyms(folder)(PER_KEY, ANN)
