"""Second stop: what the 8-bit model would have answered to the same requests."""

import asyncio
import time

from rich.console import Console

from gateway.tour.digits import MODEL, asked
from gateway.tour.guide import Guide
from gateway.tour.load import Load
from gateway.tour.site import Site

_PERIOD = 3600.0  # seconds that the report covers
_RECORDED = 2.0  # seconds until the store has what was compared
_IMAGES = 600
_SECONDS = 6.0
_CALLERS = 8
PAGE = "shadow-report.html"

_VERDICTS = {
    "promote": "Yes",
    "dont": "No",
    "not_enough_evidence": "Not yet: too little evidence",
}


async def visit(site: Site, guide: Guide) -> None:
    from gateway.reports import make  # with all it brings, when it is needed

    guide.stop("May the 8-bit model replace the full one?")
    guide.say(
        "Every second request was copied to it; nobody waited for its answers, and each was"
        " compared with what the caller got."
    )
    questions, _ = asked(site, MODEL, _IMAGES)
    load = Load(site.address, questions, callers=_CALLERS, once=False)
    await load.run_for(_SECONDS)
    await asyncio.sleep(_RECORDED)
    quiet = Console(stderr=True, quiet=True)
    criteria = make.bounds(site.config, MODEL, quiet)
    reports, _ = await asyncio.to_thread(
        make.read, site.config, MODEL, None, time.time(), _PERIOD, criteria, quiet
    )
    page = site.folder / PAGE
    make.write(reports, "html", page)
    for report in reports:
        guide.say(f"{_VERDICTS[report.verdict.decision]}. {report.verdict.reason}", "bold")
    guide.link("the whole report", page.resolve().as_uri())
