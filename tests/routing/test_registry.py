"""Leases, decided from beats and a clock that the tests hold."""

import random

from protos import discovery_pb2 as pb
from routing.registry import PRESERVED_AT_LEAST, PRESERVED_AT_MOST, Registry


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


def beating(registry, names, *seconds):
    """Beats of all of these, once a second; the table is looked at as often."""
    evicted = []
    for second in range(*seconds):
        for name in names:
            registry.beat(beat(name), float(second))
        evicted += registry.expire(float(second))
    return evicted


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
    assert beating(registry, "b", 0, 3) == []
    assert states(registry, 2.0) == {"a": pb.HELD, "b": pb.HELD}
    assert states(registry, 3.0) == {"a": pb.SUSPECT, "b": pb.HELD}
    assert beating(registry, "b", 3, 6) == []
    assert beating(registry, "b", 6, 7) == ["a"]
    assert len(registry) == 1


def test_a_lease_that_is_shorter_than_two_beats_is_suspect_before_it_is_over():
    registry = Registry(lease=1.5)
    for name in "ab":
        registry.beat(beat(name), 0.0)
    assert registry.expire(1.6) == []
    assert states(registry, 1.6) == {"a": pb.SUSPECT, "b": pb.SUSPECT}


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


def beats_of_a_crash_loop(registry, seconds, *, lives=8, period=20):
    """Three pods of one release come, each time by other names, and die; six others go on."""
    preserved, most = 0, 0
    for second in range(seconds):
        names = [*"abcdef"]
        round_, at = divmod(second, period)
        new = [f"{round_} {pod}" for pod in range(3)] if second > 10 else []
        for name in names + (new if at < lives else []):
            registry.beat(beat(name), float(second))
        if at == lives:
            for name in new:
                registry.disconnected(name, 1)
        registry.expire(second + 0.5)
        preserved += registry.self_preservation
        most = max(most, len(registry))
    return preserved / seconds, most


def test_a_crash_loop_is_not_taken_for_the_network():
    share, most = beats_of_a_crash_loop(Registry(lease=5.0), 600)
    assert share < 0.5
    assert most <= 6 + 3 + 3


def test_a_crash_loop_without_a_pause_leaves_little_behind():
    _, most = beats_of_a_crash_loop(Registry(lease=5.0), 600, lives=8, period=9)
    assert most <= 6 + 3 + PRESERVED_AT_LEAST / 9 * 3 + 3


def test_who_has_just_come_counts_when_beats_of_many_get_lost():
    registry = Registry(lease=5.0)
    assert beating(registry, "abcdefgh", 10, 13) == []
    assert beating(registry, "abcdef", 13, 40) == []
    assert registry.self_preservation
    assert registry.beat(beat("g"), 40.0) is None


def test_nobody_is_kept_for_much_longer_than_it_was_heard():
    registry = Registry(lease=5.0)
    names = "abcdefgh"
    assert beating(registry, names, 10, 70) == []
    assert beating(registry, "abcdef", 70, 129) == []
    assert registry.self_preservation
    assert sorted(beating(registry, "abcdef", 129, 140)) == ["g", "h"]
    assert not registry.self_preservation


def test_one_lost_instance_is_evicted_however_small_the_mesh():
    registry = Registry(lease=5.0)
    registry.beat(beat("c"), 0.0)
    assert beating(registry, "ab", 0, 7) == ["c"]
    assert not registry.self_preservation


def test_the_only_instance_is_kept_while_it_is_silent():
    registry = Registry(lease=5.0)
    registry.beat(beat(), 0.0)
    assert registry.expire(60.0) == []
    assert states(registry, 60.0) == {"a": pb.SUSPECT}
    assert registry.expire(PRESERVED_AT_MOST + 1.0) == ["a"]


def test_when_beats_come_again_the_last_to_come_has_a_whole_lease_for_it():
    registry = Registry(lease=5.0)
    for name in "abc":
        registry.beat(beat(name), 0.0)
    assert registry.expire(30.0) == []
    assert beating(registry, "ab", 30, 36) == []
    assert beating(registry, "abc", 36, 60) == []


def test_one_that_stays_away_when_beats_come_again_is_evicted():
    registry = Registry(lease=5.0)
    for name in "abc":
        registry.beat(beat(name), 0.0)
    registry.expire(30.0)
    assert beating(registry, "ab", 30, 60) == ["c"]


def test_losing_beats_of_all_at_random_evicts_nobody():
    for seed in range(40):
        rng, registry = random.Random(seed), Registry(lease=5.0)
        beating(registry, "abc", 0, 1)
        for second in range(1, 120):
            arrived = [name for name in "abc" if rng.random() > 0.6]
            assert beating(registry, arrived, second, second + 1) == [], (seed, second)


def test_losses_are_forgotten_when_beats_come_as_they_should():
    registry = Registry(lease=5.0)
    for second in range(0, 30, 3):
        beating(registry, "abc", second, second + 1)
    assert registry.self_preservation
    beating(registry, "abc", 30, 50)
    assert not registry.self_preservation
    assert beating(registry, "ab", 50, 60) == ["c"]


def test_beats_out_of_turn_make_up_for_no_lost_ones():
    registry = Registry(lease=5.0)
    beating(registry, "abc", 0, 1)
    for second in range(3, 30, 3):
        for part in range(10):
            for name in "abc":
                registry.beat(beat(name), second + part / 1000)
        registry.expire(float(second))
        assert registry.self_preservation


def test_a_restarted_instance_starts_without_losses():
    registry = Registry(lease=5.0)
    beating(registry, "abc", 0, 1)
    for name in "abc":
        registry.beat(beat(name, epoch=2), 60.0)
    registry.expire(60.0)
    assert not registry.self_preservation


def test_a_time_in_which_nothing_was_heard_at_all_counts_for_nobody():
    registry = Registry(lease=5.0)
    beating(registry, "abc", 0, 3)
    registry.beat(beat("c"), 62.4)  # heard before it is known that the others couldn't be
    registry.excuse(60.0, 62.5)
    assert states(registry, 62.5) == dict.fromkeys("abc", pb.HELD)
    assert beating(registry, "abc", 63, 65) == []
    assert not registry.self_preservation


def test_who_is_kept_is_overdue_all_the_same_but_for_time_that_counts_for_nobody():
    registry = Registry(lease=5.0)
    assert registry.overdue("a", 0.0)
    registry.beat(beat(), 0.0)
    assert not registry.overdue("a", 5.0)
    assert registry.overdue("a", 5.1)
    assert registry.expire(5.1) == []
    assert registry.overdue("a", 5.1)
    registry.excuse(4.0, 5.1)
    assert not registry.overdue("a", 5.1)


def test_leaving_ends_the_lease_at_once_for_the_same_epoch_only():
    registry = Registry()
    registry.beat(beat(epoch=2, draining=True), 0.0)
    assert registry.is_draining("a", 2)
    registry.leave("a", 1)
    assert len(registry) == 1
    registry.leave("a", 2)
    assert len(registry) == 0


def test_a_beat_that_only_tells_of_a_load_is_no_change():
    registry = Registry(lease=5.0)
    registry.beat(beat(), 0.0)
    before = registry.changes
    for second in range(1, 5):
        loaded = beat(models=False)
        loaded.load.in_flight = second
        registry.beat(loaded, float(second))
    assert registry.changes == before


def test_what_a_beat_changes_is_counted():
    registry = Registry(lease=5.0)
    seen = [registry.changes]
    registry.beat(beat(), 0.0)
    seen.append(registry.changes)
    registry.beat(beat(revision=2), 1.0)
    seen.append(registry.changes)
    registry.beat(beat(models=False, revision=2, draining=True), 2.0)
    seen.append(registry.changes)
    registry.disconnected("a", 1)
    seen.append(registry.changes)
    back = beat(models=False, revision=2, draining=True)
    registry.beat(back, 3.0)
    seen.append(registry.changes)
    registry.beat(back, 9.0)  # it was suspect
    seen.append(registry.changes)
    registry.leave("a", 1)
    seen.append(registry.changes)
    assert seen == sorted(set(seen))


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
