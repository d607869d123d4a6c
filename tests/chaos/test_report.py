"""Results as they are written, read again, and shown."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from chaos import results
from chaos.experiment import Result
from chaos.history import History, Request
from chaos.report_markdown import markdown, summary
from chaos.report_page import page
from chaos.verdict import Figure, Step, Verdict

KEPT = Result(
    "backend-killed",
    1,
    "kill -9",
    "kept",
    12.0,
    verdicts=(Verdict(True, "no request failed", "0 of 10", "0"),),
    figures=(Figure("slowest", "80 ms"),),
    steps=(Step("kill -9 b2", 5.0), Step("stopped", 6.0, 7.0)),
)
BROKEN = replace(
    KEPT, name="hung", state="broken", verdicts=(Verdict(False, "a|b", "<script>", "0"),)
)
NOT_RUN = Result("lossy", 1, "5 % loss", "not run", 0.0, "needs nft")
HISTORY = History(
    [
        Request(n, n / 10, n / 10, n / 10 + 0.01, 500 if n == 50 else 200, True, "tests")
        for n in range(100)
    ]
)


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def count(self, tag: str, class_: str) -> int:
        return sum(
            name == tag and class_ in (of.get("class") or "").split() for name, of in self.found
        )


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    results.write(KEPT, tmp_path)
    HISTORY.write(tmp_path / "requests.jsonl")

    assert results.read(tmp_path) == KEPT
    assert results.histories(tmp_path) == {"requests": HISTORY}


def test_what_was_not_run_is_never_counted_as_kept() -> None:
    assert summary([KEPT, BROKEN, NOT_RUN]) == "3 experiments: 1 kept, 1 broken, 1 not run."


def test_markdown_has_a_row_for_everything_that_was_held() -> None:
    text = markdown([KEPT, BROKEN, NOT_RUN], "2 cores")

    assert "| `backend-killed` | no request failed | 0 of 10 | 0 | kept |" in text
    assert "| `hung` | a\\|b | <script> | 0 | **broken** |" in text
    assert "| `lossy` | 5 % loss | needs nft | | not run |" in text


def test_the_page_draws_faults_and_failures_over_time() -> None:
    text = page([KEPT, BROKEN, NOT_RUN], {"backend-killed": {"requests": HISTORY}}, "2 cores")
    elements = Elements(text)

    assert elements.count("rect", "broken-band") == 1
    assert elements.count("line", "happened") == 1
    assert elements.count("circle", "bad") == 1
    assert "&lt;script&gt;" in text
    assert all(tag != "script" for tag, _ in elements.found)
