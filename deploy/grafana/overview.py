"""The first page: is it well, where does the time go, who is refused, what changes."""

from panels import Dashboard, Panel, Query, Row
from promql import quantile, rate, told

FAILED = rate("penstock_requests_total", 'code=~"5.."')
ALL = rate("penstock_requests_total")

OVERVIEW = Dashboard(
    uid="penstock-overview",
    title="Penstock: overview",
    description="One minute at 3 a.m.: what is slow, whose fault it is, what changed.",
    rows=(
        Row(
            "Is it well?",
            (
                Panel(
                    "Requests",
                    (Query(ALL),),
                    "reqps",
                    "Answered by all gateways, whatever the answer.",
                    kind="stat",
                    width=4,
                ),
                Panel(
                    "Failed",
                    (Query(f"({FAILED} or vector(0)) / {ALL}"),),
                    "percentunit",
                    "Share of answers that are 5xx.",
                    kind="stat",
                    width=4,
                    red=0.01,
                ),
                Panel(
                    "p99",
                    (Query(quantile(0.99, "penstock_request_duration_seconds")),),
                    "s",
                    "From the head of a request to the last byte of its answer.",
                    kind="stat",
                    width=4,
                ),
                Panel(
                    "p99 of overhead",
                    (Query(quantile(0.99, "penstock_overhead_seconds")),),
                    "s",
                    "Duration less the backend's queue and compute: what the gateway and the"
                    " network add.",
                    kind="stat",
                    width=4,
                    red=0.05,
                ),
                Panel(
                    "Backends",
                    (Query("max(penstock_endpoints)"),),
                    "none",
                    "That hold a lease.",
                    kind="stat",
                    width=4,
                ),
                Panel(
                    "Alerts",
                    (Query('count(ALERTS{alertstate="firing"}) or vector(0)'),),
                    "none",
                    "That fire now. Each has a runbook (docs/runbooks.md).",
                    kind="stat",
                    width=4,
                    red=1,
                ),
                Panel(
                    "Requests by code",
                    (Query(rate("penstock_requests_total", by="code"), "{{code}}"),),
                    "reqps",
                    "429 and 503 are refusals: see below who was refused, and by what.",
                    stacked=True,
                ),
                Panel(
                    "Requests by route and arm",
                    (Query(rate("penstock_requests_total", by="route, arm"), "{{route}}/{{arm}}"),),
                    "reqps",
                    "No arm: refused before one was asked, or answered from the cache.",
                    stacked=True,
                ),
                Panel(
                    "p99 by model",
                    (
                        Query(
                            quantile(0.99, "penstock_request_duration_seconds", by="model"),
                            "{{model}}",
                        ),
                    ),
                    "s",
                    "The points are single requests: one leads to its trace.",
                    exemplars=True,
                ),
            ),
        ),
        Row(
            "Where does the time go?",
            (
                Panel(
                    "Stages, p90",
                    (
                        Query(
                            quantile(0.9, "penstock_stage_duration_seconds", by="stage"),
                            "{{stage}}",
                        ),
                    ),
                    "s",
                    "`queue` and `compute` are the backend's; the rest is the gateway's.",
                ),
                Panel(
                    "Work that waits at backends",
                    (Query(told("penstock_endpoint_queued_seconds"), "{{backend}}"),),
                    "s",
                    "Predicted device time of all that waits: what more instances would shorten.",
                ),
                Panel(
                    "Event loop lag, p99",
                    (
                        Query(
                            quantile(0.99, "penstock_event_loop_lag_seconds", by="worker"),
                            "worker {{worker}}",
                        ),
                    ),
                    "s",
                    "How late a worker comes to what is due. Beyond 50 ms the gateway is short of"
                    " CPU.",
                    red=0.05,
                ),
            ),
        ),
        Row(
            "Who is refused, and what is saved?",
            (
                Panel(
                    "Over a limit",
                    (
                        Query(
                            rate("penstock_limited_total", by="route, per, counts, mode"),
                            "{{route}}: {{counts}} per {{per}} ({{mode}})",
                        ),
                    ),
                    "reqps",
                    "`observe` refuses nobody.",
                ),
                Panel(
                    "Waiting for a place at a model",
                    (
                        Query("sum by (model) (penstock_fair_waiting)", "{{model}} waiting"),
                        Query("sum by (model) (penstock_in_flight_bound)", "{{model}} bound"),
                    ),
                    "none",
                    "A model that is asked for more than it can do: tenants wait in turns.",
                ),
                Panel(
                    "Cache",
                    (Query(rate("penstock_cache_requests_total", by="outcome"), "{{outcome}}"),),
                    "reqps",
                    "Requests of routes that keep answers.",
                    stacked=True,
                ),
            ),
        ),
        Row(
            "Is somebody protected from something?",
            (
                Panel(
                    "Values of people",
                    (
                        Query(
                            rate("penstock_privacy_found_total", by="entity, mode"),
                            "{{entity}} ({{mode}})",
                        ),
                    ),
                    "cps",
                    "Found in requests and replies by privacy policies, by what they are.",
                ),
                Panel(
                    "Retries, hedges, ejections",
                    (
                        Query(rate("penstock_retries_total"), "retries"),
                        Query(rate("penstock_hedges_total"), "hedges"),
                        Query(rate("penstock_fallbacks_total"), "fallbacks"),
                        Query(rate("penstock_ejections_total"), "ejections"),
                        Query(rate("penstock_panic_picks_total"), "picks in panic"),
                    ),
                    "cps",
                    "What clients don't notice, and you should.",
                ),
                Panel(
                    "Records lost",
                    (
                        Query(rate("penstock_audit_records_dropped_total"), "audit"),
                        Query(rate("penstock_usage_records_dropped_total"), "usage"),
                        Query(rate("penstock_shadow_records_dropped_total"), "comparisons"),
                        Query(rate("penstock_log_lines_dropped_total"), "log lines"),
                    ),
                    "cps",
                    "Requests never wait for records; what nobody takes is counted here.",
                    red=1,
                ),
            ),
        ),
        Row(
            "What changes?",
            (
                Panel(
                    "Weights of arms",
                    (Query("max by (route, arm) (penstock_arm_weight)", "{{route}}/{{arm}}"),),
                    "percentunit",
                    "The share of traffic in force; steps of rollouts show as steps.",
                ),
                Panel(
                    "Copies to mirrors",
                    (
                        Query(
                            rate("penstock_mirrored_total", by="route, mirror, outcome"),
                            "{{route}}/{{mirror}} {{outcome}}",
                        ),
                    ),
                    "cps",
                    "Copies that were sent, and what became of their comparison.",
                ),
                Panel(
                    "Routes not in force",
                    (
                        Query("max(penstock_routes_stale)", "a document is wrong"),
                        Query("max(penstock_routes_workers_behind)", "workers behind"),
                        Query("max(penstock_arms_unserved)", "arms that nobody serves"),
                    ),
                    "none",
                    "The last good documents stay in force while one is wrong.",
                    red=1,
                ),
            ),
        ),
        Row(
            "The mesh",
            (
                Panel(
                    "Backends by state",
                    (
                        Query(
                            "sum by (state) (max by (backend, state) (penstock_endpoint_state))",
                            "{{state}}",
                        ),
                    ),
                    "none",
                    "`suspect` missed beats; `unhealthy` says of itself that it can't work.",
                    stacked=True,
                ),
                Panel(
                    "Leases",
                    (
                        Query(rate("penstock_lease_evictions_total"), "ran out"),
                        Query(rate("penstock_endpoints_left_total"), "said goodbye"),
                        Query("max(penstock_self_preservation)", "self-preservation"),
                    ),
                    "none",
                    "In self-preservation nobody is evicted: too many are silent at once, so it is"
                    " rather our ears.",
                ),
                Panel(
                    "CPU of gateways",
                    (
                        Query(
                            rate("penstock_process_cpu_seconds_total", by="process"),
                            "{{process}}",
                        ),
                    ),
                    "none",
                    "Cores; a worker has one at most.",
                ),
            ),
        ),
    ),
)
