"""How the tour finds what the model saw, among the samples that the audit log keeps."""

from pathlib import Path

from gateway.tour.privacy import Samples


def line(request_id: str) -> str:
    return f'{{"request_id":"{request_id}","request":{{}}}}\n'


def test_a_sample_is_found_once_it_is_whole(tmp_path: Path):
    samples = Samples(tmp_path / "payloads")
    assert samples.find("second") is None
    (tmp_path / "payloads").mkdir()
    kept = tmp_path / "payloads" / "20260101-worker.jsonl"
    with kept.open("a") as file:
        file.write(line("first") + line("second")[:9])
        file.flush()
        assert samples.find("second") is None
        file.write(line("second")[9:])
    assert samples.find("second") == {"request_id": "second", "request": {}}


def test_what_was_kept_before_isnt_read_again(tmp_path: Path):
    kept = tmp_path / "20260101-worker.jsonl"
    kept.write_text(line("second"))
    samples = Samples(tmp_path)
    assert samples.find("second") is None
    kept.write_text(line("second") + line("third"))
    assert samples.find("third") == {"request_id": "third", "request": {}}


def test_half_a_line_of_a_process_that_was_killed_is_passed_over(tmp_path: Path):
    samples = Samples(tmp_path)
    (tmp_path / "20260101-worker.jsonl").write_text(line("second")[:-4] + "\n" + line("second"))
    assert samples.find("second") == {"request_id": "second", "request": {}}
