"""One model: its arms, its batches, its devices."""

from panels import Dashboard, Panel, Query, Row, Variable
from promql import quantile, rate, told, told_quantile, told_rate

OF = 'model=~"$model"'
ROWS = told_rate("penstock_backend_rows_total", OF, "backend")
BATCHES = told_rate("penstock_backend_batches_total", OF, "backend")
PADDING = told_rate("penstock_backend_padding_rows_total", OF, "backend")
WRONG = told_rate("penstock_backend_prediction_error_seconds_total", OF, "backend")
ACTUAL = told_rate("penstock_backend_actual_seconds_total", OF, "backend")

MODEL = Dashboard(
    uid="penstock-model",
    title="Penstock: a model",
    description="One model's arms, batches and devices.",
    variables=(Variable("model", "penstock_requests_total", "model", several=True),),
    rows=(
        Row(
            "Arms",
            (
                Panel(
                    "Requests by arm and code",
                    (
                        Query(
                            rate("penstock_requests_total", OF, "route, arm, code"),
                            "{{route}}/{{arm}} {{code}}",
                        ),
                    ),
                    "reqps",
                    "What each arm answered.",
                    stacked=True,
                ),
                Panel(
                    "Latency by arm",
                    (
                        Query(
                            quantile(0.5, "penstock_request_duration_seconds", OF, "route, arm"),
                            "{{route}}/{{arm}} p50",
                        ),
                        Query(
                            quantile(0.99, "penstock_request_duration_seconds", OF, "route, arm"),
                            "{{route}}/{{arm}} p99",
                        ),
                    ),
                    "s",
                    "An arm that is slower than the others stands apart here.",
                    exemplars=True,
                ),
                Panel(
                    "Overhead",
                    (
                        Query(quantile(0.5, "penstock_overhead_seconds", OF, "route"), "p50"),
                        Query(quantile(0.99, "penstock_overhead_seconds", OF, "route"), "p99"),
                    ),
                    "s",
                    "Duration less the backend's queue and compute.",
                ),
            ),
        ),
        Row(
            "Batches",
            (
                Panel(
                    "Rows of a batch",
                    (Query(f"{ROWS} / {BATCHES}", "{{backend}}"),),
                    "none",
                    "On average. One row each while a device keeps up; more as it gets busy.",
                ),
                Panel(
                    "Padding",
                    (Query(f"{PADDING} / ({ROWS} + {PADDING})", "{{backend}}"),),
                    "percentunit",
                    "Share of rows that were executed for nothing.",
                ),
                Panel(
                    "Why batches are closed",
                    (
                        Query(
                            told_rate(
                                "penstock_backend_dispatches_total",
                                OF,
                                "reason",
                                "backend, model, version, reason",
                            ),
                            "{{reason}}",
                        ),
                    ),
                    "cps",
                    "Such as full, in time for a deadline, or because nothing more came.",
                    stacked=True,
                ),
                Panel(
                    "Queue",
                    (
                        Query(
                            told_quantile(0.5, "penstock_backend_queue_seconds", OF),
                            "{{backend}} p50",
                        ),
                        Query(
                            told_quantile(0.99, "penstock_backend_queue_seconds", OF),
                            "{{backend}} p99",
                        ),
                    ),
                    "s",
                    "A request's time before its batch.",
                ),
                Panel(
                    "Compute",
                    (
                        Query(
                            told_quantile(0.5, "penstock_backend_compute_seconds", OF),
                            "{{backend}} p50",
                        ),
                        Query(
                            told_quantile(0.99, "penstock_backend_compute_seconds", OF),
                            "{{backend}} p99",
                        ),
                    ),
                    "s",
                    "Its batch's execution.",
                ),
                Panel(
                    "Prediction",
                    (Query(f"{WRONG} / {ACTUAL}", "{{backend}} wrong by"),),
                    "percentunit",
                    "How far predicted device time is from what batches took. Picking and"
                    " deadlines rely on it.",
                ),
                Panel(
                    "Deadlines missed",
                    (
                        Query(
                            told_rate("penstock_backend_deadline_misses_total", OF, "backend"),
                            "{{backend}}",
                        ),
                    ),
                    "reqps",
                    "Requests whose time was over before they were answered.",
                    red=1,
                ),
            ),
        ),
        Row(
            "Instances",
            (
                Panel(
                    "That serve it",
                    (
                        Query(
                            f"max by (model, version) (penstock_model_endpoints{{{OF}}})",
                            "{{model}} {{version}}",
                        ),
                    ),
                    "none",
                    "Instances on which the version is ready.",
                ),
                Panel(
                    "Work that waits",
                    (Query(told("penstock_endpoint_queued_seconds"), "{{backend}}"),),
                    "s",
                    "Predicted device time, of all models of the instance.",
                ),
                Panel(
                    "In flight",
                    (Query(told("penstock_endpoint_in_flight"), "{{backend}}"),),
                    "none",
                    "Requests there, of all gateways.",
                ),
                Panel(
                    "Ejected",
                    (
                        Query(
                            told("penstock_endpoint_ejected", OF, "backend, model"),
                            "{{backend}}",
                        ),
                    ),
                    "none",
                    "1 while a gateway keeps away from it because it failed.",
                    red=1,
                ),
                Panel(
                    "Memory of models",
                    (
                        Query(
                            told("penstock_endpoint_memory_bytes", by="backend, kind"),
                            "{{backend}} {{kind}}",
                        ),
                    ),
                    "bytes",
                    "Used, budget, and the highest so far.",
                ),
            ),
        ),
        Row(
            "GPUs",
            (
                Panel(
                    "Utilisation",
                    (
                        Query(
                            told("penstock_gpu_utilization_ratio", by="backend, device"),
                            "{{backend}} {{device}}",
                        ),
                    ),
                    "percentunit",
                    "From NVML; empty without an NVIDIA driver.",
                ),
                Panel(
                    "Memory",
                    (
                        Query(
                            told("penstock_gpu_memory_used_bytes", by="backend, device"),
                            "{{backend}} {{device}}",
                        ),
                    ),
                    "bytes",
                    "From NVML, of all that uses the device.",
                ),
                Panel(
                    "Power",
                    (
                        Query(
                            told("penstock_gpu_power_watts", by="backend, device"),
                            "{{backend}} {{device}}",
                        ),
                    ),
                    "watt",
                    "From NVML. A device that draws little and has a queue is starved by its host.",
                ),
            ),
        ),
    ),
)
