"""Language models: what people who wait for words notice, and what the engines do."""

from panels import Dashboard, Panel, Query, Row, Variable
from promql import quantile, rate, told, told_rate

OF = 'model=~"$model"'
BY = "backend, model"
PROMPT = told_rate("penstock_llm_prompt_tokens_total", OF, BY, BY)
CACHED = told_rate("penstock_llm_cached_tokens_total", OF, BY, BY)
DRAFTED = told_rate("penstock_llm_drafted_tokens_total", OF, BY, BY)
ACCEPTED = told_rate("penstock_llm_accepted_tokens_total", OF, BY, BY)

LANGUAGE = Dashboard(
    uid="penstock-language",
    title="Penstock: language models",
    description="Time to the first word, words a second, and the engines behind them.",
    variables=(Variable("model", "penstock_tokens_total", "model", several=True),),
    rows=(
        Row(
            "What clients see",
            (
                Panel(
                    "Time to first token",
                    (
                        Query(
                            quantile(0.5, "penstock_time_to_first_token_seconds", OF, "model"),
                            "{{model}} p50",
                        ),
                        Query(
                            quantile(0.99, "penstock_time_to_first_token_seconds", OF, "model"),
                            "{{model}} p99",
                        ),
                    ),
                    "s",
                    "Of streams. Grows with waiting answers and long prompts.",
                ),
                Panel(
                    "Between tokens",
                    (
                        Query(
                            quantile(0.5, "penstock_inter_token_latency_seconds", OF, "model"),
                            "{{model}} p50",
                        ),
                        Query(
                            quantile(0.99, "penstock_inter_token_latency_seconds", OF, "model"),
                            "{{model}} p99",
                        ),
                    ),
                    "s",
                    "Mean of each stream. Grows with the batch, and with clients that read slowly.",
                ),
                Panel(
                    "Tokens a second",
                    (
                        Query(
                            rate("penstock_tokens_total", OF, "model, adapter, kind"),
                            "{{model}} {{adapter}} {{kind}}",
                        ),
                    ),
                    "cps",
                    "`cached` is of the prompt's: those that the model had computed before.",
                ),
            ),
        ),
        Row(
            "What the engines do",
            (
                Panel(
                    "Answers",
                    (
                        Query(told("penstock_llm_running", OF, BY), "{{backend}} running"),
                        Query(told("penstock_llm_waiting", OF, BY), "{{backend}} waiting"),
                    ),
                    "none",
                    "Computed together, and waiting for a place among them.",
                ),
                Panel(
                    "Cache of keys and values",
                    (Query(told("penstock_llm_cache_use_ratio", OF, BY), "{{backend}}"),),
                    "percentunit",
                    "Near 1, answers are preempted: more memory or fewer at once.",
                    red=0.95,
                ),
                Panel(
                    "Preemptions",
                    (
                        Query(
                            told_rate("penstock_llm_preemptions_total", OF, BY, BY),
                            "{{backend}}",
                        ),
                    ),
                    "cps",
                    "Answers that gave their cache to others and were computed again.",
                ),
                Panel(
                    "Prompts found in the cache",
                    (Query(f"{CACHED} / {PROMPT}", "{{backend}}"),),
                    "percentunit",
                    "Share of their tokens.",
                ),
                Panel(
                    "Guesses that were right",
                    (Query(f"{ACCEPTED} / {DRAFTED}", "{{backend}}"),),
                    "percentunit",
                    "Of tokens that were guessed ahead (--speculate).",
                ),
                Panel(
                    "Tokens by adapter",
                    (
                        Query(
                            told_rate(
                                "penstock_llm_generated_tokens_total",
                                OF,
                                "model, adapter",
                                "backend, model, adapter",
                            ),
                            "{{model}} {{adapter}}",
                        ),
                    ),
                    "cps",
                    "No adapter: the model itself.",
                    stacked=True,
                ),
                Panel(
                    "Affinity",
                    (Query(rate("penstock_affinity_picks_total", by="outcome"), "{{outcome}}"),),
                    "cps",
                    "Whether the endpoint that had the prompt's beginning was taken.",
                    stacked=True,
                ),
            ),
        ),
    ),
)
