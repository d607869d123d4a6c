"""`python -m benchmarks`: all of them, or those that are named."""

import argparse
from pathlib import Path

from benchmarks import (
    auditing,
    batching,
    caching,
    codecs,
    fairness,
    gateways,
    limiting,
    mirrors,
    policies,
    routing,
    screening,
    sharing,
    stages,
    telemetry,
    telemetry_rates,
    tracing,
)

FOLDER = Path(".penstock/bench").absolute()
NAMES = (
    "codecs",
    "gateways",
    "stages",
    "routing",
    "policies",
    "mirrors",
    "caching",
    "limiting",
    "auditing",
    "tracing",
    "telemetry",
    "telemetry-rates",
    "screening",
    "sharing",
    "fairness",
    "batching",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="one round of a second")
    parser.add_argument("--split", action="store_true", help="gateways on a core of their own")
    parser.add_argument("--device", default="cpu", help="for batching: cpu or cuda:N")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    options = gateways.Options(split=given.split)
    if given.quick:
        options = gateways.Options(1, 1.0, (1,), given.split)
    for name in given.names or NAMES:
        if name == "codecs":
            codecs.main()
        elif name == "gateways":
            gateways.run(options, FOLDER)
        elif name == "stages":
            stages.run(FOLDER, quick=given.quick)
        elif name == "routing":
            routing.run()
        elif name == "policies":
            policies.run(options, FOLDER)
        elif name == "mirrors":
            mirrors.run(FOLDER, quick=given.quick)
        elif name == "sharing":
            sharing.run(FOLDER, quick=given.quick)
        elif name == "fairness":
            fairness.run(FOLDER, quick=given.quick)
        elif name == "caching":
            caching.run(quick=given.quick)
        elif name == "limiting":
            limiting.run(quick=given.quick)
        elif name == "auditing":
            auditing.run(quick=given.quick)
        elif name == "tracing":
            tracing.run(quick=given.quick)
        elif name == "telemetry":
            telemetry.run(quick=given.quick)
        elif name == "telemetry-rates":
            telemetry_rates.run(options, FOLDER)
        elif name == "screening":
            screening.run(quick=given.quick)
        else:
            batching.run(FOLDER, given.device, quick=given.quick)


if __name__ == "__main__":
    main()
