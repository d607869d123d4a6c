"""Leases, decided from beats and a clock that the tests hold."""

from protos import discovery_pb2 as pb
from routing.registry import PRESERVED_AT_MOST, Registry


def beat(instance="a", epoch=1, *, models=True, revision=1, key="k", draining=False):
    message = pb.Beat(
        instance=instance,
        epoch=epoch,
        address="127.0.0.1:1",
        access_key=key,
        models_revision=revision,
        healthy=True,
        draining=draining,
    )
    if models:
        message.models.models.add(name="m", version="1", state=pb.READY)
    return message


def states(registry, now):
    return {lease.beat.instance: lease.state for lease in registry.snapshot(now).leases}


def test_a_beat_makes_a_lease_and_later_beats_extend_it():
    registry = Registry(lease=5.0)
    assert registry.beat(beat(), 0.0) is None
    for second in range(1, 20):
        assert registry.beat(beat(models=False), float(second)) is None
        assert registry.expire(second + 0.5) == []
    assert states(registry, 19.5) == {"a": pb.HELD}


def test_the_model_table_is_kept_while_beats_leave_it_out():
    registry = Registry()
    registry.beat(beat(), 0.0)
    registry.beat(beat(models=False), 1.0)
    assert [m.name for m in registry.snapshot(1.0).leases[0].beat.models.models] == ["m"]


def test_a_beat_that_refers_to_an_unknown_table_is_refused():
    registry = Registry()
    assert "must carry the model table" in registry.beat(beat(models=False), 0.0)
    registry.beat(beat(), 0.0)
    assert "never sent" in registry.beat(beat(models=False, revision=2), 1.0)


def test_a_silent_instance_is_suspect_first_and_evicted_when_its_lease_is_over():
    registry = Registry(lease=5.0)
    registry.beat(beat(), 0.0)
    assert states(registry, 2.0) == {"a": pb.HELD}
    assert states(registry, 3.0) == {"a": pb.SUSPECT}
    assert registry.expire(4.9) == []
    assert registry.expire(5.1) == ["a"]
    assert len(registry) == 0


def test_a_broken_stream_makes_suspect_at_once_and_a_beat_heals_it():
    registry = Registry()
    registry.beat(beat(), 0.0)
    registry.disconnected("a", 1)
    assert states(registry, 0.1) == {"a": pb.SUSPECT}
    registry.beat(beat(), 0.2)
    assert states(registry, 0.3) == {"a": pb.HELD}


def test_a_stale_epoch_is_refused_and_a_newer_one_replaces():
    registry = Registry()
    registry.beat(beat(epoch=5, key="old"), 0.0)
    assert "stale" in registry.beat(beat(epoch=4, key="older"), 0.1)
    assert registry.beat(beat(epoch=6, key="new"), 0.2) is None
    registry.disconnected("a", 5)  # the end of the old process's stream says nothing of the new
    assert states(registry, 0.3) == {"a": pb.HELD}


def test_two_processes_can_not_hold_one_instance_and_epoch():
    registry = Registry()
    registry.beat(beat(key="one"), 0.0)
    assert "another process" in registry.beat(beat(key="two"), 0.1)


def test_losing_many_at_once_evicts_nobody_until_patience_ends():
    registry = Registry(lease=5.0)
    for name in "abcdefgh":
        registry.beat(beat(name), 0.0)
    for name in "abcdef":
        registry.beat(beat(name), 5.0)
    assert registry.expire(6.0) == []  # g and h: 25 % are missing
    assert registry.self_preservation
    for name in "abcdef":
        registry.beat(beat(name), PRESERVED_AT_MOST + 10)
    assert sorted(registry.expire(PRESERVED_AT_MOST + 10)) == ["g", "h"]


def test_one_lost_instance_is_evicted_however_small_the_mesh():
    registry = Registry(lease=5.0)
    for name in "abc":
        registry.beat(beat(name), 0.0)
    for name in "ab":
        registry.beat(beat(name), 5.0)
    assert registry.expire(6.0) == ["c"]
    assert not registry.self_preservation


def test_leaving_ends_the_lease_at_once_for_the_same_epoch_only():
    registry = Registry()
    registry.beat(beat(epoch=2, draining=True), 0.0)
    assert registry.is_draining("a", 2)
    registry.leave("a", 1)
    assert len(registry) == 1
    registry.leave("a", 2)
    assert len(registry) == 0


def test_every_change_grows_the_revision():
    registry = Registry(lease=5.0)
    seen = [registry.revision]
    registry.beat(beat(), 0.0)
    seen.append(registry.revision)
    registry.disconnected("a", 1)
    seen.append(registry.revision)
    registry.expire(6.0)
    seen.append(registry.revision)
    assert seen == sorted(set(seen))
