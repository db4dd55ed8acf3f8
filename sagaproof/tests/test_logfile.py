"""Logs of child processes stay bounded, and nothing that is said is lost on the way."""

from pathlib import Path

from sagaproof import logfile


def test_a_log_that_grew_too_long_goes_on_from_empty(tmp_path: Path) -> None:
    log = tmp_path / "order.log"
    with log.open("ab") as child:  # as a child process holds it
        child.write(b"old " * 100)
        child.flush()
        logfile.shorten(log, limit_bytes=100)
        child.write(b"new")
        child.flush()
        logfile.shorten(log, limit_bytes=100)
    assert log.read_bytes() == b"new"
    assert logfile.previous(log).read_bytes() == b"old " * 100


def test_the_run_before_is_kept_and_an_empty_one_does_not_replace_it(tmp_path: Path) -> None:
    log = tmp_path / "order.log"
    logfile.rotate(log)
    log.write_text("said")
    logfile.rotate(log)
    log.touch()
    logfile.rotate(log)
    assert logfile.previous(log).read_text() == "said"


def test_the_end_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "order.log"
    log.write_text("".join(f"{number}\n" for number in range(100_000)))
    assert logfile.tail(log, lines=2) == "99998\n99999"
    assert "No such file" in logfile.tail(tmp_path / "none.log")
