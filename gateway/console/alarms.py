"""What is wrong just now, the worst first, in sentences that say what to do."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from gateway.console.figures import share
from gateway.console.history import History
from gateway.endpoint_rows import endpoint_row
from gateway.hub import Hub
from gateway.reports.markup import visible
from gateway.rules import Rules
from protos.wording import quote

Tone = Literal["bad", "warn"]

# What happened so many times.
_TROUBLES = {
    "penstock_panic_picks": "an endpoint in doubt was picked, as fewer than half of a model's were "
    "well",
    "penstock_ejections": "an endpoint was taken out of the choice, as it failed",
    "penstock_lease_losses": "the shared state couldn't be reached; each process admits its share",
    "penstock_lease_evictions": "a backend fell silent and was removed",
    "penstock_audit_records_dropped": "an audit record of a request was dropped",
    "penstock_arm_counts_dropped": "counts of arms were dropped; rollouts see less evidence",
    "penstock_shadow_records_dropped": "a comparison of mirrored requests was dropped",
}


FAILING = 0.01  # of requests, from which on it is an alarm


class Alarm(NamedTuple):
    tone: Tone
    title: str
    sentence: str
    link: str = ""


def alarms(hub: Hub, rules: Rules, history: History, failing_audit: bool) -> list[Alarm]:
    """All of them; none when all is well."""
    found = [
        *_failures(history),
        *_mesh(hub),
        *_routes(hub, rules),
        *_troubles(history),
    ]
    if failing_audit:
        sentence = (
            "Nothing administrative is done until it can: look at the disk of the state folder."
        )
        found.append(Alarm("bad", "The audit log can't be written", sentence))
    return sorted(found, key=lambda alarm: alarm.tone != "bad")


def _failures(history: History) -> Iterator[Alarm]:
    failures = history.rates(None).failures
    if failures >= FAILING:
        sentence = f"{share(failures)} of the last minute’s were answered with 5xx."
        yield Alarm("bad", "Requests fail", sentence, "/requests")


def _mesh(hub: Hub) -> Iterator[Alarm]:
    snapshot = hub.snapshot
    if snapshot.self_preservation:
        yield Alarm(
            "bad",
            "Self-preservation",
            "So many backends went silent at once that the network is suspected: nobody is evicted "
            "until beats come again.",
        )
    if not snapshot.settled:
        yield Alarm(
            "warn", "Starting", "Backends are given time to join; unknown models may yet come."
        )
    elif not snapshot.leases:
        yield Alarm("bad", "No backend has joined", "Nothing can be served.")
    for row in map(endpoint_row, snapshot.leases):
        if row["state"] in ("suspect", "unhealthy"):
            why = visible(row["reason"], 300) or "its beats are overdue or its stream broke"
            tone: Tone = "bad" if row["state"] == "unhealthy" else "warn"
            yield Alarm(tone, f"{visible(row['instance'])} is {row['state']}", f"{why}.")


def _routes(hub: Hub, rules: Rules) -> Iterator[Alarm]:
    keeper, rollouts = rules.keeper, rules.rollouts
    if keeper.problem:
        yield Alarm(
            "bad",
            "The folder of routes is refused",
            f"The last good documents stay in force. {visible(keeper.problem, 1000)}",
            "/routes",
        )
    behind = sum(each != keeper.revision for each in hub.applied.values())
    if behind:
        yield Alarm("warn", "Workers lag behind", f"{behind} don't apply the newest routes yet.")
    for arm, sentence in rules.unserved.items():
        yield Alarm(
            "bad", f"Nobody serves {quote(visible(arm))}", f"{visible(sentence, 300)}.", "/routes"
        )
    if rollouts.problem:
        yield Alarm(
            "warn",
            "Rollouts can't be looked at",
            f"What is in force stays so. {visible(rollouts.problem, 300)}",
            "/rollouts",
        )


def _troubles(history: History) -> Iterator[Alarm]:
    for name, times in history.troubles().items():
        tone: Tone = "bad" if "audit" in name else "warn"
        yield Alarm(tone, "In the last minute", f"{times:,} × {_TROUBLES[name]}.")
