"""The picture of the pipeline is the pipeline."""

import re

from gateway.pipeline import Pipeline
from tests.docs.pages import ROOT, blocks

(PICTURE,) = (
    each.text for each in blocks(ROOT / "docs" / "architecture.md") if each.language == "mermaid"
)


def test_filters_stand_in_the_order_in_which_a_request_meets_them() -> None:
    drawn = PICTURE.partition("gateway/pipeline.py")[2].partition("end")[0]
    names = re.findall(r"\b[a-z]+\b", drawn)
    in_order = [name for at, name in enumerate(names) if name not in names[:at]]
    assert in_order == [*Pipeline._fields, "exchange"]
