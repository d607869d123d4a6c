"""The page, looked at by a real browser: nothing fetched, nothing hidden, readable everywhere."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from gateway.reports.encode import encode
from gateway.reports.html import page
from gateway.reports.text import plain
from routing.shadow.record import Outcome
from routing.shadow.report import Report
from tests.gateway.reports.made_records import Made, records
from tests.gateway.reports.made_reports import OVERRIDE, hostile, report, reported
from tests.servers import program

WIDTHS = (360, 768, 1280)

# Every text whose contrast with what lies behind it is less than AA asks of small text.
FAINT = """() => {
  const parse = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [x, y, z] = [r, g, b].map(v => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || ['title', 'desc', 'STYLE'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = parse(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    const text = element.textContent.slice(0, 30);
    if (contrast < 4.5) faint.push(`${element.tagName} ${text} ${contrast}`);
  }
  return faint;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = program("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page in the browser, with what it asked for and complained of."""

    def __init__(self, browser: Browser, document: str, folder: Path) -> None:
        file = folder / "report.html"
        file.write_text(document, encoding="utf-8")
        self.page: Page = browser.new_page()
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.goto(file.as_uri())

    def overflow(self, width: int) -> int:
        self.page.set_viewport_size({"width": width, "height": 800})
        found: int = self.page.evaluate("document.documentElement.scrollWidth")
        return found - width


@pytest.fixture(scope="module", params=["not_enough_evidence", "hostile", "two"])
def opened(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    reports: list[Report] = {
        "hostile": lambda: [hostile()],
        "two": lambda: [report("dont"), report("promote")],
    }.get(request.param, lambda: [report(request.param)])()
    found = Opened(browser, page(reports), tmp_path_factory.mktemp("page"))
    yield found
    found.page.close()


class TestInABrowser:
    def test_nothing_is_asked_for_and_nothing_complained_of(self, opened: Opened):
        assert len(opened.asked) == 1
        assert opened.asked[0].startswith("file://")
        assert opened.said == []

    @pytest.mark.parametrize("width", WIDTHS)
    def test_nothing_is_wider_than_the_screen(self, opened: Opened, width: int):
        assert opened.overflow(width) <= 0

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_every_text_has_contrast(self, opened: Opened, scheme: str):
        opened.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert opened.page.evaluate(FAINT) == []

    def test_headings_leave_out_no_level(self, opened: Opened):
        levels = opened.page.evaluate(
            "[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))

    def test_every_plot_says_what_it_shows_and_every_table_what_it_holds(self, opened: Opened):
        plots = opened.page.evaluate(
            "[...document.querySelectorAll('svg[role=img]')].map(s => s.getAttribute("
            "'aria-labelledby').split(' ').map(id => document.getElementById(id).textContent))"
        )
        assert plots
        assert all(len(title) > 5 and len(description) > 10 for title, description in plots)
        captions = opened.page.evaluate(
            "[...document.querySelectorAll('table')].map(t => t.caption?.textContent || '')"
        )
        assert all(captions)

    def test_ids_are_unique(self, opened: Opened):
        ids = opened.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))

    def test_it_prints_dark_on_light(self, opened: Opened):
        opened.page.emulate_media(media="print", color_scheme="dark")
        assert opened.page.evaluate(FAINT) == []
        ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        opened.page.emulate_media(media="screen")


class Elements(HTMLParser):
    """What a parser makes of the page: elements, and attributes that load or run something."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.active: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.active += [
            f"{tag} {name}={value}"
            for name, value in attrs
            if name.startswith("on")
            or (name in ("src", "href", "action") and not (value or "").startswith("#"))
        ]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_records_have_their_page_as_well(count: int):
    made = records(3, Made(dropped=0.0, failed=0.0, primary_failed=0.0))
    found = [replace(each, status="dropped") if i >= count else each for i, each in enumerate(made)]
    reports = reported(found)
    assert f"{count} of 3 compared" in page(reports)
    assert f"{count} of 3 pairs compared" in plain(reports).replace("\n", " ")
    assert json.loads(encode(reports))["reports"][0]["samples"]["compared"] == count


def test_streams_have_the_time_to_their_first_part():
    streams = [
        replace(each, primary=replace(each.primary, parts=5), kind="tokens")
        for each in records(50, Made(failed=0))
    ]
    assert "To the first part of a stream" in page(reported(streams))
    assert "to the first part" in plain(reported(streams))
    assert "To the first part" not in page([report("dont")])


@pytest.mark.parametrize("made", [lambda: report("dont"), hostile], ids=["plain", "hostile"])
def test_the_page_has_nothing_that_runs_or_loads(made):
    document = page([made()])
    elements = Elements(document)
    assert not elements.names & {"script", "img", "iframe", "object", "link", "form", "base"}
    assert elements.active == []
    assert "url(" not in document
    assert "@import" not in document
    assert "default-src &#x27;none&#x27;" in document


@pytest.mark.parametrize(
    ("primary", "candidate"),
    [((-1.5e308, 1.5e308), (1.5e308, 1.7e308)), ((0.0, 5e-324), (0.0, 0.0)), ((1.0,), (1.0,))],
)
def test_scores_of_any_size_are_drawn(primary, candidate):
    scored = [
        replace(
            each,
            outcome=Outcome(
                True,
                measures={
                    "score_primary": primary[index % len(primary)],
                    "score_candidate": candidate[index % len(candidate)],
                },
            ),
        )
        for index, each in enumerate(records(100, Made(failed=0, dropped=0, primary_failed=0)))
    ]
    written = page(reported(scored))
    assert "Distributions of the scores" in written
    assert not re.search(r"\b(nan|inf)\b", written)


def test_hostile_names_are_shown_as_what_they_are():
    document = page([hostile()])
    assert OVERRIDE not in document
    assert "⟨U+202E⟩gnp.exe" in document
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in document
    document.encode("utf-8")


def test_stored_answers_are_escaped():
    assert "&lt;/pre&gt;&lt;script&gt;alert(2)" in page([hostile()])


def test_answers_that_were_not_stored_are_not_promised():
    assert "Answers themselves are not stored" in page([report("dont")])


def test_the_verdict_is_words_and_not_only_a_colour():
    for decision, words in (("promote", "Promote"), ("dont", "Don’t promote")):
        found = re.search(r"<h2[^>]*>([^<]*)</h2>", page([report(decision)]))
        assert found is not None
        assert found[1] == words


def test_several_candidates_have_contents_with_their_verdicts():
    document = page([report("dont"), report("promote")])
    assert 'href="#candidate-2"' in document
    assert "<nav" not in page([report("dont")])
