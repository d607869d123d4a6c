"""What the audit of packages says, and above all that what wasn't looked at never passes."""

import runpy
from typing import Any

from tests.deploy.rendered import DEPLOY

verdict = runpy.run_path(str(DEPLOY / "audit.py"))["verdict"]


def package(name: str, *advisories: str) -> dict[str, Any]:
    found = [{"id": each, "fix_versions": ["2.0"]} for each in advisories]
    return {"name": name, "version": "1.0", "vulns": found}


UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


def test_everything_looked_at_and_nothing_found_passes() -> None:
    lines, status = verdict([package("a"), package("b")])
    assert (lines, status) == (["2 packages were looked at, with 0 vulnerabilities"], 0)


def test_a_vulnerability_is_named_with_what_ends_it() -> None:
    lines, status = verdict([package("a", "PYSEC-1"), package("b")])
    assert lines[0] == "a 1.0: PYSEC-1, fixed in 2.0"
    assert status == 1


def test_what_was_not_looked_at_is_not_run() -> None:
    for rows, words in (
        ([], "nothing was"),
        ([UNKNOWN], "nothing was"),
        ([package("a"), UNKNOWN], "1 packages were not"),
    ):
        lines, status = verdict(rows)
        assert f"NOT RUN: {words} looked at" in lines[-1]
        assert status == 3
    assert verdict([package("a", "PYSEC-1"), UNKNOWN])[1] == 1
