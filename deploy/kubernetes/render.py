"""Writes the plain manifests beside this file: `python deploy/kubernetes/render.py`.

They are what the chart (deploy/helm/penstock) makes of `values.yaml` here, rendered by Helm's own
library, for those who apply manifests with kubectl, Kustomize or a GitOps tool.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

HERE = Path(__file__).resolve().parent
CHART = HERE.parent / "helm" / "penstock"
NAMESPACE = "penstock"
HEADING = "# From the chart and values.yaml by deploy/kubernetes/render.py; change those.\n"
# They would say that Helm looks after these objects.
OF_HELM = ("app.kubernetes.io/managed-by:", "helm.sh/chart:")


def main() -> None:
    for old in HERE.glob("*/*.yaml"):
        old.unlink()
    for name, text in manifests(yaml.safe_load((HERE / "values.yaml").read_text())):
        path = HERE / "manifests" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def manifests(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A file's name and text for each template that gives something."""
    for template, text in sorted(render(values).items()):
        name = template.rpartition("/")[2]
        if name.endswith(".yaml") and text.strip():
            lines = (line for line in text.splitlines() if not line.strip().startswith(OF_HELM))
            yield name, HEADING + "\n".join(lines).strip() + "\n"


def render(values: Mapping[str, Any], namespace: str = NAMESPACE) -> dict[str, str]:
    """What `helm template penstock CHART` prints, by template; raises HelmError."""
    with helm.Chart.load(CHART) as chart:
        # As `helm install` does it, which rendering alone doesn't.
        chart.validate_schema(dict(values))
        return chart.render(dict(values), name="penstock", namespace=namespace)


if __name__ == "__main__":
    main()
