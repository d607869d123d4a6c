"""Documents of the folder of routes: routes and the policies that they name, `---` between them.

What is taken once is taken again, under the same revision, and its rules can be asked.
"""

from gateway.routes.documents import check_texts
from protos.strict_yaml import ConfigError
from tests.fuzz.targets.strict_yaml import check_line


def one(data: bytes) -> None:
    texts = data.decode("utf-8", "surrogateescape").split("\n---\n")
    named = [(f"{number}.yaml", text) for number, text in enumerate(texts)]
    try:
        documents = check_texts(named)
    except ConfigError as error:
        check_line(error, max(texts, key=lambda text: len(text.splitlines())))
        return
    assert check_texts(documents.texts).revision == documents.revision
