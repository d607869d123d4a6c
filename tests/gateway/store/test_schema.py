"""That a store of other tables is refused, which only `VERSION` tells."""

from hashlib import sha256

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.store.schema import VERSION, metadata

# Of the tables as both databases make them. Whoever changes them raises VERSION too, or a gateway
# would begin with tables of another version and fail with its first record.
DIGESTS = {3: "f810804ae67641af"}


def ddl() -> str:
    statements = []
    for dialect in (sqlite.dialect(), postgresql.dialect()):
        for table in metadata.sorted_tables:
            indexes = sorted(table.indexes, key=lambda index: str(index.name))
            made = [CreateTable(table), *map(CreateIndex, indexes)]
            statements += [str(each.compile(dialect=dialect)) for each in made]
    return " ".join(" ".join(statements).split())


def test_tables_that_change_have_another_version() -> None:
    assert {VERSION: sha256(ddl().encode()).hexdigest()[:16]} == DIGESTS
