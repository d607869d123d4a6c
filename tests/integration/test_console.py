"""The console of a real gateway: over raw HTTP as a stranger would, and in a real browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from typer.testing import CliRunner

from chaos.mesh import Mesh
from chaos.processes import PATIENCE
from gateway.cli import app
from tests.integration import mesh_models as models
from tests.servers import program

ROUTE = """
apiVersion: penstock/v1
kind: Route
metadata: {name: fraud}
spec:
  match: [{model: fraud}]
  backends:
    - {name: stable, model: fraud, version: "1", weight: 90}
    - {name: canary, model: fraud, version: "2", weight: 10}
  sticky: {key: jwt.sub, salt: console}
  rollout:
    steps: [{setWeight: 10}, {pause: {}}, {setWeight: 50}, {pause: {}}]
    analysis:
      baseline: stable
      minSamples: 20
      metrics: [{name: error_rate, maxDelta: 5pp}]
"""
PAGES = ("/", "/requests", "/rollouts", "/routes", "/usage", "/shadow")
FORM = {"content-type": "application/x-www-form-urlencoded"}
FAILS = "/v2/models/fails/infer"
BAD = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}]}
MARKUP = "<script>alert(1)<script>"

# Every text whose contrast with what lies behind it is less than AA asks of small text.
FAINT = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const parse = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [x, y, z] = [r, g, b].map(v => linear(v / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || ['title', 'SCRIPT', 'TEXTAREA'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = parse(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(`${element.tagName} ${element.textContent} ${contrast}`);
  }
  return faint;
}"""

# What can be scrolled sideways, and so shows only a part of itself.
CUT = """() => [...document.querySelectorAll('nav, nav ul, main, section')]
  .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.tagName)"""
# Targets that are smaller than 24 px, which WCAG 2.2 asks for outside of sentences.
SMALL = """() => [...document.querySelectorAll('td a, th a, nav a, button, summary')]
  .filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 24)
  .map(e => `${e.tagName} ${e.textContent} ${e.getBoundingClientRect().height}`)"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("console")
    models.write_versions(folder / "models", "fraud", (1, 2))
    models.write_fails(folder / "models")
    with Mesh(folder, routes={"fraud.yaml": ROUTE}) as mesh:
        mesh.start_backend("backend", folder / "models")
        mesh.wait_ready(("fraud", "1"), ("fraud", "2"), ("fails", "1"))
        with mesh.client("infer:*") as client:
            good = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0]}]}
            for _ in range(5):
                client.post("/v2/models/fraud/infer", json=good).raise_for_status()
            client.post(FAILS, json=BAD, headers={"x-request-id": "the-one-that-failed"})
            client.post(f"/v2/models/{quote(MARKUP)}/infer", json=good)
        yield mesh


@pytest.fixture(scope="module")
def base(mesh: Mesh) -> str:
    return f"http://{mesh.address('admin')}"


def ask(method: str, where: str, **more: Any) -> httpx.Response:
    """Without a session, and with the patience that a busy machine needs."""
    return httpx.request(method, where, timeout=PATIENCE, **more)


def link(mesh: Mesh) -> str:
    made = mesh.admin("POST", "/admin/console/links").raise_for_status().json()
    return f"http://{mesh.address('admin')}{made['path']}"


@contextmanager
def log_in(mesh: Mesh, base: str) -> Iterator[httpx.Client]:
    """A client with a session, as a browser without script has it."""
    with httpx.Client(base_url=base, headers={"origin": base}, timeout=PATIENCE) as client:
        code = link(mesh).partition("code=")[2]
        answer = client.post("/login", content=urlencode({"code": code}), headers=FORM)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        yield client


def csrf(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found is not None
    return found[1]


def audited(mesh: Mesh) -> str:
    folder = mesh.folder / "state" / "audit"
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


class TestAStranger:
    @pytest.mark.parametrize(
        "path", [*PAGES, "/requests/1", "/shadow/report", "/rollouts/fraud/abort"]
    )
    def test_sees_no_page(self, base: str, path: str):
        answer = ask("GET", base + path)
        assert answer.status_code == 401
        assert "penstock token --admin" in answer.text
        assert "fraud" not in answer.text.replace(path, "")

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/admin/requests/recent"), ("POST", "/admin/console/links")],
    )
    def test_gets_nothing_that_programs_get(self, base: str, method: str, path: str):
        assert ask(method, base + path).status_code == 401

    def test_who_may_only_infer_sees_nothing_either(self, mesh: Mesh, base: str):
        bearer = {"authorization": f"Bearer {mesh.token('infer:*')}"}
        assert ask("GET", base, headers=bearer).status_code == 403
        assert ask("POST", base + "/admin/console/links", headers=bearer).status_code == 403

    def test_can_do_nothing_to_a_rollout(self, base: str):
        headers = {"origin": base, **FORM}
        answer = ask("POST", base + "/rollouts/fraud/abort", content="csrf=x", headers=headers)
        assert answer.status_code == 401

    def test_gets_no_session_with_a_guess(self, base: str):
        headers = {"origin": base, **FORM}
        answer = ask("POST", base + "/login", content="code=guess", headers=headers)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers


class TestALink:
    def test_looking_at_it_does_not_use_it_up_and_using_it_does(self, mesh: Mesh, base: str):
        where = link(mesh)
        for _ in range(2):
            assert "tester@tests" in ask("GET", where).text
        form = urlencode({"code": where.partition("code=")[2]})
        headers = {"origin": base, **FORM}
        first = ask("POST", base + "/login", content=form, headers=headers)
        assert first.status_code == 303
        assert "HttpOnly" in first.headers["set-cookie"]
        second = ask("POST", base + "/login", content=form, headers=headers)
        assert (second.status_code, "set-cookie" in second.headers) == (401, False)
        assert ask("GET", where).status_code == 401

    def test_it_cannot_be_used_from_another_site(self, mesh: Mesh, base: str):
        form = urlencode({"code": link(mesh).partition("code=")[2]})
        headers = {"origin": "http://evil.test", **FORM}
        assert ask("POST", base + "/login", content=form, headers=headers).status_code == 403

    def test_the_command_line_prints_it_beside_the_token(self, mesh: Mesh, base: str):
        done = CliRunner().invoke(app, ["token", "--admin", "--config", str(mesh.file)])
        assert done.exit_code == 0
        assert done.stdout.count("\n") == 1  # nothing but the token, for scripts
        where = re.search(r"http://\S+", done.stderr)
        assert where is not None
        assert "developer@development" in ask("GET", where[0]).text


class TestASession:
    def test_every_answer_forbids_what_pages_do_not_need(self, mesh: Mesh, base: str):
        with log_in(mesh, base) as client:
            for path in (*PAGES, "/rollouts/fraud/leap", "/console.js"):
                headers = client.get(path).headers
                policy = headers["content-security-policy"]
                assert "script-src 'self'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["referrer-policy"] == "same-origin"
                if path != "/console.js":
                    assert headers["cache-control"] == "no-store"

    def test_nothing_stands_inline(self, mesh: Mesh, base: str):
        with log_in(mesh, base) as client:
            for path in PAGES:
                text = client.get(path).text
                assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=|javascript:", text)

    @pytest.mark.parametrize(
        ("headers", "form"),
        [
            ({}, "csrf={csrf}"),
            ({"origin": "http://evil.test"}, "csrf={csrf}"),
            ({"origin": "null"}, "csrf={csrf}"),
            ({"origin": "{base}"}, "csrf=other"),
            ({"origin": "{base}"}, ""),
        ],
    )
    def test_a_form_from_elsewhere_does_nothing(
        self, mesh: Mesh, base: str, headers: dict[str, str], form: str
    ):
        with log_in(mesh, base) as client:
            content = form.format(csrf=csrf(client))
            del client.headers["origin"]
            sent = {name: value.format(base=base) for name, value in headers.items()} | FORM
            answer = client.post("/rollouts/fraud/pause", content=content, headers=sent)
        assert answer.status_code == 403
        row = mesh.admin("GET", "/admin/rollouts").json()["rollouts"][0]
        assert row["status"] in ("progressing", "waiting")

    def test_names_are_text_wherever_they_come_from(self, mesh: Mesh, base: str):
        with log_in(mesh, base) as client:
            form = urlencode({"csrf": csrf(client), "model": MARKUP, "headers": f"x: {MARKUP}"})
            texts = [
                client.post("/routes", content=form, headers=FORM).text,
                client.get("/requests", params={"model": MARKUP, "code": '"><b>'}).text,
                client.get(f"/rollouts/{quote(MARKUP)}/pause").text,
                client.get("/requests").text,
                client.get("/usage").text,
            ]
        for text in texts:
            assert "<script>" not in text
            assert "<b>" not in text
        assert "&lt;script&gt;" in texts[0]

    def test_no_header_can_be_made_of_what_is_asked_for(self, mesh: Mesh, base: str):
        with log_in(mesh, base) as client:
            answer = client.get("/rollouts/x%0d%0aset-cookie:%20a=b/pause")
            assert "set-cookie" not in answer.headers
            answer = client.get("/shadow/report", params={"route": "--help", "since": "1h"})
            assert answer.status_code == 404

    def test_who_logs_out_is_out_and_the_cookie_works_no_more(self, mesh: Mesh, base: str):
        with log_in(mesh, base) as client:
            kept = dict(client.cookies)
            form = urlencode({"csrf": csrf(client)})
            assert client.post("/logout", content=form, headers=FORM).status_code == 303
            assert client.get("/").status_code == 401
        assert ask("GET", base, cookies=kept).status_code == 401


class TestRecentRequests:
    def recent(self, mesh: Mesh, **query: str) -> list[dict]:
        answer = mesh.admin("GET", "/admin/requests/recent", params=query)
        found: list[dict] = answer.raise_for_status().json()["requests"]
        return found

    def test_tell_what_failed_with_its_spans(self, mesh: Mesh):
        mesh.wait(lambda: bool(self.recent(mesh, request_id="the-one-that-failed")), "the failure")
        (row,) = self.recent(mesh, request_id="the-one-that-failed")
        assert (row["model"], row["code"], row["error"]) == ("fails", 500, "MODEL_FAILED")
        assert (row["tenant"], row["instances"]) == ("tests", ["backend"])
        server, *others = row["spans"]
        assert server["kind"] == "SERVER"
        assert any(each["kind"] == "CLIENT" for each in others)
        known = {each["id"] for each in row["spans"]}
        assert all(each["parent"] in known for each in others)

    def test_tell_the_slowest_and_are_found_by_model_and_code(self, mesh: Mesh):
        mesh.wait(lambda: len(self.recent(mesh, model="fraud", code="200")) == 5, "all five")
        assert {row["code"] for row in self.recent(mesh, code="404")} == {404}

    def test_nothing_that_clients_sent_is_in_them(self, mesh: Mesh):
        text = mesh.admin("GET", "/admin/requests/recent").text
        assert "script" not in text
        assert "tester" not in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = program("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def inside(mesh: Mesh, base: str, browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has been logged in by a link, and has complained of nothing."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        said: list[str] = []
        context.on("console", lambda message: said.append(message.text))
        context.on("weberror", lambda error: said.append(str(error.error)))
        page = context.new_page()
        page.goto(link(mesh))
        page.locator("button:focus").press("Enter")
        page.wait_for_url(f"{base}/")
        page.close()
        yield context
        assert said == []


@pytest.fixture
def page(inside: BrowserContext) -> Iterator[Page]:
    page = inside.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    yield page
    page.close()


class TestInABrowser:
    def test_every_page_fits_every_screen_and_can_be_read(self, page: Page, base: str, mesh: Mesh):
        failed = mesh.admin("GET", "/admin/requests/recent", params={"code": "500"}).json()
        for path in (*PAGES, f"/requests/{failed['requests'][0]['trace_id']}"):
            page.goto(base + path)
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            for width, scheme in ((360, "dark"), (390, "light"), (768, "dark"), (1280, "light")):
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
                assert page.evaluate(FAINT) == [], (path, scheme)
                assert page.evaluate(CUT) == [], (path, width)
                assert page.evaluate(SMALL) == [], (path, width)
            levels = page.evaluate(
                "[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])"
            )
            assert levels.count(1) == 1, path
            assert all(after <= before + 1 for before, after in pairwise(levels)), path
            captions = page.evaluate(
                "[...document.querySelectorAll('table')].map(t => t.caption?.textContent || '')"
            )
            assert all(captions), path
            ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
            assert len(ids) == len(set(ids)), path

    def test_the_keyboard_goes_everywhere_and_the_focus_can_be_seen(self, page: Page, base: str):
        page.goto(f"{base}/rollouts")
        focused, outlines = [], []
        for _ in range(13):
            page.keyboard.press("Tab")
            focused.append(page.evaluate("document.activeElement.textContent"))
            outlines.append(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
        expected = ["To the content", "Penstock", "Overview", "Requests", "Rollouts", "Routes"]
        assert focused[:6] == expected
        assert {"Log out", "Resume the rollout of fraud", "What has happened"} <= set(focused)
        assert set(outlines[:12]) == {"solid"}

    def test_traffic_appears_without_a_reload(self, page: Page, base: str):
        page.goto(base)
        page.locator("#traffic").get_by_text("stable").wait_for()
        assert page.locator("#endpoints").get_by_text("backend", exact=True).count() == 1

    def test_the_keyboards_place_is_kept_while_parts_are_brought_up_to_date(
        self, page: Page, base: str, mesh: Mesh
    ):
        page.goto(f"{base}/requests")
        page.get_by_role("link", name="the-one-that-failed").focus()
        with mesh.client("infer:*") as client:
            client.post(FAILS, json=BAD, headers={"x-request-id": "a-later-one"})
        page.get_by_role("link", name="a-later-one").wait_for()
        assert page.evaluate("document.activeElement.textContent") == "the-one-that-failed"
        page.evaluate("getSelection().selectAllChildren(document.querySelector('#found table'))")
        with mesh.client("infer:*") as client:
            client.post(FAILS, json=BAD, headers={"x-request-id": "the-last-one"})
        page.get_by_role("status").get_by_text("not brought up to date meanwhile").wait_for()
        page.evaluate("getSelection().removeAllRanges()")
        page.get_by_role("link", name="the-last-one").wait_for()

    def test_a_request_is_explained_by_its_waterfall(self, page: Page, base: str):
        page.goto(f"{base}/requests?request_id=the-one-that-failed")
        page.get_by_role("link", name="the-one-that-failed").click()
        line = page.get_by_text("penstock.v1.Backend/Exchange").first
        line.focus()
        page.locator("details", has=line).locator("summary").press("Enter")
        page.locator("dd", has_text="backend").first.wait_for()
        assert page.get_by_text("500 model failed").count() == 1

    def test_a_route_is_explained_as_on_the_command_line(self, page: Page, base: str, mesh: Mesh):
        page.goto(f"{base}/routes")
        page.get_by_label("Model").fill("fraud")
        page.get_by_label("Subject").fill("ada")
        page.get_by_label("Headers").fill("x-team: risk")
        page.get_by_role("button", name="Explain").click()
        question = {"model": "fraud", "subject": "ada", "headers": {"x-team": "risk"}}
        told = mesh.admin("POST", "/admin/routes/explain", json=question).json()
        answer = page.locator(".answer")
        answer.get_by_text(f"Goes to {told['arm']}").wait_for()
        assert "90 %" in answer.inner_text()
        page.get_by_label("Headers").fill("no colon")
        page.get_by_role("button", name="Explain").click()
        page.get_by_role("alert").get_by_text("headers: each line is a name").wait_for()

    def test_a_gate_is_pressed_and_recorded_under_the_administrators_name(
        self, page: Page, base: str, mesh: Mesh
    ):
        def waiting() -> bool:
            rows = mesh.admin("GET", "/admin/rollouts").json()["rollouts"]
            return bool(rows) and rows[0]["status"] == "waiting"

        mesh.wait(waiting, "the rollout to wait at its gate")
        page.goto(f"{base}/rollouts")
        page.get_by_role("link", name="Resume the rollout of fraud").click()
        page.get_by_role("button", name="Yes, resume").click()
        page.wait_for_url(f"{base}/rollouts")
        page.get_by_text("50 % of traffic goes to canary").wait_for()
        (row,) = mesh.admin("GET", "/admin/rollouts").json()["rollouts"]
        assert "tester@tests" in {event["actor"] for event in row["history"]}
        mesh.wait(lambda: '"rollout.resume"' in audited(mesh), "the record")
        assert '"console.login"' in audited(mesh)

    def test_without_script_it_reads_the_same(self, mesh: Mesh, base: str, browser: Browser):
        with browser.new_context(java_script_enabled=False) as context:
            page = context.new_page()
            page.goto(link(mesh))
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("heading", name="Overview").wait_for()
            page.get_by_role("link", name="Rollouts").click()
            page.get_by_role("heading", name="fraud").wait_for()
            page.get_by_role("button", name="Log out").click()
            page.get_by_text("You are not logged in").wait_for()
