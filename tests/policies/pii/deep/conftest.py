from pathlib import Path

import pytest

from tests.policies.pii.deep.people_model import make


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("spacy") / "people")
