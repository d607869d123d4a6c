from protos.versions import version_order


def test_numbers_go_by_value_and_before_names() -> None:
    given = ["10", "beta", "9", "1", "alpha", "٣", "1" * 30]
    assert sorted(given, key=version_order) == ["1", "9", "10", "1" * 30, "alpha", "beta", "٣"]
