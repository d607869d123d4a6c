import os
import re
from pathlib import Path

import pytest
import yaml

from gateway.routes.documents import check_texts
from gateway.routes.folder import LARGEST, load_folder, signature
from protos.strict_yaml import ConfigError
from tests.routing.rules.written_routes import STABLE, privacy, text


def write(folder: Path, **documents: str) -> Path:
    for name, content in documents.items():
        (folder / f"{name}.yaml").write_text(content)
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_folder(folder)
    return str(caught.value).replace(f"{folder}/", "")


def model(name: str) -> str:
    return text(name, match=[{"model": name}])


def test_every_yaml_file_is_one_route(tmp_path: Path) -> None:
    write(tmp_path, b=model("two"), a=model("one"))
    (tmp_path / "c.yml").write_text(model("three"))
    (tmp_path / "README.md").write_text("not a route")

    assert [each.name for each in load_folder(tmp_path).routes] == ["one", "three", "two"]


def test_an_empty_folder_has_no_routes_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    assert load_folder(tmp_path).routes == ()
    assert refused(tmp_path / "missing").endswith("missing:1: No such file or directory")


def test_a_folder_that_kubernetes_mounts_is_read_once(tmp_path: Path) -> None:
    mounted = tmp_path / "..2026_01_01"
    mounted.mkdir()
    write(mounted, fraud=text())
    (tmp_path / "..data").symlink_to(mounted.name)
    (tmp_path / "fraud.yaml").symlink_to("..data/fraud.yaml")
    (tmp_path / ".hidden.yaml").write_text("{")

    assert [each.source for each in load_folder(tmp_path).routes] == [str(tmp_path / "fraud.yaml")]


def test_the_signature_follows_links_to_what_they_lead_to(tmp_path: Path) -> None:
    for name, document in (("..one", text()), ("..two", text(pins="any"))):
        (tmp_path / name).mkdir()
        write(tmp_path / name, fraud=document)
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "fraud.yaml").symlink_to("..data/fraud.yaml")
    before = signature(tmp_path)
    assert signature(tmp_path) == before

    (tmp_path / "..new").symlink_to("..two")
    (tmp_path / "..new").replace(tmp_path / "..data")

    assert signature(tmp_path) != before


def test_the_signature_tells_of_files_that_come_go_and_change(tmp_path: Path) -> None:
    seen = [signature(tmp_path / "missing"), signature(tmp_path)]
    write(tmp_path, a=model("one"))
    seen.append(signature(tmp_path))
    os.utime(tmp_path / "a.yaml", ns=(1, 1))
    seen.append(signature(tmp_path))
    (tmp_path / "a.yaml").unlink()
    (tmp_path / "b.yaml").symlink_to("nowhere")
    seen.append(signature(tmp_path))

    assert len(set(map(str, seen))) == len(seen)


def test_every_problem_of_every_file_is_told_in_one_go(tmp_path: Path) -> None:
    write(
        tmp_path,
        a=text("a", match=[{"model": "a"}]).replace("weight: 95", "wieght: 95"),
        b=text("b", match=[{"model": "b"}], priority={"highest": 0}, pins="some"),
        c="[",
        d=model("d"),
    )
    (tmp_path / "e.yaml").symlink_to("nowhere")
    (tmp_path / "f.yaml").write_bytes(b"# \xff")

    told = refused(tmp_path).splitlines()

    assert [line.partition(" ")[0] for line in told] == [
        "a.yaml:12:",
        "b.yaml:18:",
        "b.yaml:19:",
        "c.yaml:1:",
        "e.yaml:1:",
        "f.yaml:1:",
    ]
    assert 'did you mean "weight"?' in told[0]


def test_two_routes_of_one_name_are_refused_with_both_places(tmp_path: Path) -> None:
    write(tmp_path, a=text("x", match=[{"model": "a"}]), b=text("x", match=[{"model": "b"}]))

    assert refused(tmp_path).startswith("b.yaml:4: metadata.name: ")
    assert "a.yaml:4 is a route of this name too" in refused(tmp_path)


@pytest.mark.parametrize(
    "broken",
    [privacy("bank", mode="off"), privacy("bank", mod="x"), "[", "kind: Privcy\n"],
    ids=("a word", "a key", "no YAML", "no kind"),
)
def test_routes_are_not_blamed_for_a_policy_that_is_refused_itself(
    tmp_path: Path, broken: str
) -> None:
    asked = {"privacy": {"policy": "bank"}, "audit": {"payloads": "1%"}}
    write(tmp_path, a=text("a", **asked), bank=broken)

    (line,) = refused(tmp_path).splitlines()

    assert line.startswith("bank.yaml:")


def test_a_policy_that_is_missing_is_told_beside_another_that_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a=text(privacy={"policy": "bank"}), p=privacy("other", mode="off"))

    assert [line.partition(":")[0] for line in refused(tmp_path).splitlines()] == [
        "a.yaml",
        "p.yaml",
    ]


def test_rules_between_which_nothing_decides_are_refused(tmp_path: Path) -> None:
    write(tmp_path, a=text("a"), b=text("b"))

    told = refused(tmp_path)

    assert told.startswith("a.yaml:7: match: as specific as the rule of b in b.yaml:7")


def test_a_policy_that_there_is_not_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a=text(privacy={"policy": "bank"}))
    assert 'spec.privacy.policy: there is no document of kind Privacy called "bank"' in refused(
        tmp_path
    )

    write(tmp_path, p=privacy("banks"))
    assert refused(tmp_path).startswith("a.yaml:")
    assert 'did you mean "banks"?' in refused(tmp_path)

    write(tmp_path, p=privacy("bank"))
    documents = load_folder(tmp_path)
    assert [(each.kind, each.name) for each in documents.policies] == [("Privacy", "bank")]


def test_a_kind_that_there_is_not_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a=privacy("bank").replace("kind: Privacy", "kind: Privcy"))

    assert refused(tmp_path).startswith("a.yaml:2: kind: should be Route")
    assert 'did you mean "Privacy"?' in refused(tmp_path)


def test_a_policy_and_a_route_may_have_one_name_and_two_policies_of_a_kind_may_not(
    tmp_path: Path,
) -> None:
    write(tmp_path, a=text("bank"), b=privacy("bank"))
    assert len(load_folder(tmp_path).all) == 2

    write(tmp_path, c=privacy("bank"))
    assert "b.yaml:4 is a Privacy document of this name too" in refused(tmp_path)


def test_a_policy_that_can_not_be_applied_is_refused(tmp_path: Path) -> None:
    write(tmp_path, p=privacy("bank", patterns=[{"entity": "OWN", "pattern": "(?=look)"}]))

    assert refused(tmp_path).startswith(
        "p.yaml:8: spec.patterns[0].pattern: the pattern of OWN is not RE2: "
    )


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"patterns": [{"entity": "OWN", "pattern": "(a"}]}, "patterns[0].pattern: * (a"),
        ({"patterns": [{"entity": "OWN", "pattern": "a*"}]}, "patterns[0].pattern: * empty text"),
        ({"allow": [{"values": ["x"], "patterns": ["x", "["]}]}, "allow[0].patterns[1]: * ["),
    ],
    ids=("unfinished", "empty", "allowed"),
)
def test_a_pattern_is_refused_at_its_line_and_shown_as_it_was_written(
    tmp_path: Path, spec: dict[str, object], told: str
) -> None:
    where, _, end = told.partition(" * ")
    write(tmp_path, p=privacy("bank", **spec))

    (line,) = refused(tmp_path).splitlines()

    assert f"spec.{where} " in line
    assert line.endswith(f" {end}")


def test_a_policy_that_changes_makes_another_revision(tmp_path: Path) -> None:
    write(tmp_path, a=model("one"), b=privacy("bank"))
    before = load_folder(tmp_path)
    write(tmp_path, b=privacy("bank", mode="observe"))

    assert load_folder(tmp_path).revision != before.revision


def test_what_is_no_file_or_too_large_is_refused_and_nothing_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("#" * (LARGEST + 1))

    assert refused(tmp_path).splitlines() == [
        "a.yaml:1: is not a file",
        "b.yaml:1: is larger than a document may be, 1 MiB",
    ]


def test_workers_make_the_same_documents_of_the_texts(tmp_path: Path) -> None:
    write(tmp_path, a=model("one"), b=model("two"), p=privacy("bank"))
    documents = load_folder(tmp_path)

    again = check_texts(reversed(documents.texts))

    assert again.revision == documents.revision
    assert again.texts == documents.texts


def test_what_is_written_and_has_no_effect_is_noted_with_its_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        a=text(
            "a",
            backends=[STABLE, {"name": "any", "model": "fraud", "weight": 0}],
            cache={"ttl": "5m", "scope": "route"},
            mirror=[
                {"backend": "m", "model": "n", "percent": 1, "compare": {"payloads": True}},
            ],
        ),
        b=model("b"),
        c=text("c", match=[{"model": "c"}], backends=[{"name": "only", "model": "c"}]),
    )

    notes = [each.replace(f"{tmp_path}/", "") for each in load_folder(tmp_path).notes]

    assert [each.partition(": ")[0] for each in notes] == [
        "a.yaml:13",
        "a.yaml:16",
        "a.yaml:24",
    ]
    assert notes[1].endswith("cache: the route's tenants get each other's answers")


@pytest.mark.parametrize(
    ("more", "noted"),
    [
        ({}, True),
        ({"b": text("b", match=[{"model": "ll*"}])}, True),
        ({"b": text("b", match=[{"model": "llm"}], privacy={"policy": "bank"})}, False),
        ({"b": text("b", match=[{"model": "l*"}], privacy={"policy": "bank"})}, False),
        (
            {
                "b": text(
                    "b", match=[{"model": "llm", "tenants": ["t"]}], privacy={"policy": "bank"}
                )
            },
            True,
        ),
    ],
    ids=("no route", "a route without", "a route with", "a pattern with", "for one tenant"),
)
def test_a_model_that_may_be_asked_past_its_privacy_policy_is_noted(
    tmp_path: Path, more: dict[str, str], noted: bool
) -> None:
    public = text(
        "public",
        match=[{"model": "public"}],
        backends=[{"name": "only", "model": "llm", "version": "1"}],
        privacy={"policy": "bank"},
    )
    write(tmp_path, public=public, bank=privacy("bank"), **more)

    notes = [each for each in load_folder(tmp_path).notes if "public.yaml" in each]

    assert [each.partition(": ")[2] for each in notes] == [
        "backends: the privacy policy is passed by who asks for llm, the model of only, by its own"
        " name; a route for that name or scopes without it prevent it"
    ] * noted


def test_answers_are_not_shared_between_tenants_where_something_is_hidden(tmp_path: Path) -> None:
    hidden = {"privacy": {"policy": "bank"}, "cache": {"ttl": "5m", "scope": "route"}}
    write(tmp_path, a=text("a", **hidden), bank=privacy("bank"))

    with pytest.raises(ConfigError, match=r"a\.yaml:[0-9]+: spec\.cache\.scope: scope route"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("by_route", "own", "kept"),
    [
        ("enforce", "enforce", True),
        ("observe", "enforce", False),
        ("enforce", "observe", False),
        (None, "enforce", False),
    ],
)
def test_payloads_are_kept_only_where_they_are_redacted(
    tmp_path: Path, by_route: str | None, own: str, kept: bool
) -> None:
    asked = {} if by_route is None else {"privacy": {"policy": "bank", "mode": by_route}}
    route = text(audit={"payloads": "0.1%"}, **asked)
    write(tmp_path, bank=privacy("bank", mode=own), fraud=route)
    if kept:
        assert load_folder(tmp_path).routes
    else:
        assert re.match(r"fraud\.yaml:[0-9]+: spec\.audit\.payloads: .*", refused(tmp_path))


def test_output_policies_are_documents_as_well(tmp_path: Path) -> None:
    document = privacy("clean", entities={"EMAIL": {"action": "mask"}}).replace("Privacy", "Output")
    write(tmp_path, clean=document, fraud=text(output={"policy": "clear"}))
    assert 'no document of kind Output called "clear"; did you mean "clean"?' in refused(tmp_path)
    write(tmp_path, fraud=text(output={"policy": "clean"}))
    ((kind, name),) = [(each.kind, each.name) for each in load_folder(tmp_path).policies]
    assert (kind, name) == ("Output", "clean")


def test_the_examples_of_the_documentation_hold() -> None:
    page = (Path(__file__).parents[3] / "docs" / "routes.md").read_text()
    whole, *fragments = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)

    assert len(fragments) == 4
    check_texts([("whole", whole)])
    for fragment in fragments:
        check_texts([("fragment", text(**yaml.safe_load(fragment)))])
