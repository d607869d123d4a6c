"""The few forms of PromQL that the dashboards are made of."""

OVER = "[$__rate_interval]"


def rate(metric: str, where: str = "", by: str = "") -> str:
    """What gateways count, a second, added up over them."""
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{_braces(where)}{OVER}))"


def quantile(share: float, metric: str, where: str = "", by: str = "") -> str:
    """Of a histogram that gateways fill."""
    labels = f"le, {by}" if by else "le"
    inner = f"sum by ({labels}) (rate({metric}_bucket{_braces(where)}{OVER}))"
    return f"histogram_quantile({share}, {inner})"


def told(metric: str, where: str = "", by: str = "backend") -> str:
    """A gauge that backends tell all gateways."""
    return f"max by ({by}) ({metric}{_braces(where)})"


def told_rate(metric: str, where: str, by: str, each: str = "backend, model, version") -> str:
    """A counter that backends tell all gateways, a second, added up over backends."""
    return f"sum by ({by}) (max by ({each}) (rate({metric}{_braces(where)}{OVER})))"


def told_quantile(share: float, metric: str, where: str, by: str = "backend") -> str:
    """Of a histogram that backends tell all gateways."""
    labels = f"le, {by}" if by else "le"
    inner = told_rate(f"{metric}_bucket", where, labels, "le, backend, model, version")
    return f"histogram_quantile({share}, {inner})"


def _braces(where: str) -> str:
    return f"{{{where}}}" if where else ""
