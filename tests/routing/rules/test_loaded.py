from protos.route.document import Route
from protos.strict_yaml import read, validate
from routing.rules.loaded import Loaded, revision_of
from tests.routing.rules.written_routes import route, text


def test_a_revision_is_sixteen_hex_digits_of_what_the_routes_say() -> None:
    one, two = route("one"), route("two", match=[{"model": "two"}])

    revision = revision_of([one, two])

    assert len(revision) == 16
    assert int(revision, 16)
    assert revision == revision_of([two, one])
    assert revision != revision_of([one])
    assert revision != revision_of([one, route("two", match=[{"model": "three"}])])


def test_files_names_comments_and_layout_do_not_change_it() -> None:
    written = "# a comment\n" + text("one") + "\n\n"
    document = read(written, "another.yaml")
    renamed = Loaded("another.yaml", written, document, validate(document, Route))

    assert revision_of([renamed]) == revision_of([route("one")])
