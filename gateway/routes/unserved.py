"""Arms and mirrors that nobody serves: valid in the document, and of no use to anybody."""

from collections.abc import Iterable

from protos import discovery_pb2 as pb
from protos.route.snapshot import RouteSnapshot
from protos.wording import did_you_mean


def unserved(routes: Iterable[RouteSnapshot], snapshot: pb.Snapshot) -> dict[str, str]:
    """A sentence for each, by `route/arm`, as the leases stand."""
    ready: dict[str, set[str]] = {}
    for lease in snapshot.leases:
        for each in lease.beat.models.models:
            if each.state == pb.READY:
                ready.setdefault(each.name, set()).add(each.version)
    found: dict[str, str] = {}
    for route in routes:
        targets = [(arm.name, arm.model, arm.version) for arm in route.arms]
        targets += [(mirror.backend, mirror.model, mirror.version) for mirror in route.mirrors]
        for name, model, version in targets:
            versions = ready.get(model)
            if versions is None:
                hint = did_you_mean(model, sorted(ready))
                found[f"{route.name}/{name}"] = f"no backend serves model {model}{hint}"
            elif version and version not in versions:
                has = ", ".join(sorted(versions))
                found[f"{route.name}/{name}"] = f"no backend serves {model}/{version}, but {has}"
    return found
