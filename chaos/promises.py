"""The promises that experiments hold Penstock to; docs/promises.md says them in full."""

PROMISES = {
    1: "A backend that dies costs no idempotent request",
    2: "When everything fails, retries don't make it worse",
    3: "One deadline spans all attempts; who goes away is not worked for",
    4: "Ten times too much: capacity is used, refusals are quick",
    5: "No request fails because discovery does",
    6: "No request fails because Redis does",
    7: "Rolling restarts lose nothing",
    8: "A poison request takes at most two backends with it",
    9: "Known keys verify while their issuer is down",
    10: "Nobody waits for collectors, records or mirrors",
    11: "Cancelled work leaves nothing behind",
    12: "No tenant receives another's cached answer",
}
