"""The build of the console: when it is made anew, and what becomes of one that fails."""

from pathlib import Path

import pytest

from sagaproof import console_build

FAILS = """#!/bin/sh
echo "npm warn something of no matter"
echo "npm error code E404"
echo "npm error 404 the registry does not have it"
exit 1
"""


@pytest.fixture
def web(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    for name in ("src/tests", "public", "scripts"):
        (folder / name).mkdir(parents=True)
    for name in (".npmrc", "index.html", "package.json", "package-lock.json", "vite.config.ts", "src/main.tsx"):
        (folder / name).write_text("")
    return folder


def test_it_is_built_anew_when_a_source_has_changed_and_not_for_a_test(web: Path) -> None:
    before = console_build.key(web)
    (web / "src" / "main.test.tsx").write_text("a test")
    (web / "src" / "tests" / "setup.ts").write_text("of tests")
    assert console_build.key(web) == before
    (web / "src" / "main.tsx").write_text("changed")
    assert console_build.key(web) != before


def test_a_failed_build_says_why_in_one_line_and_leaves_what_was_there(web: Path, tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text(FAILS)
    npm.chmod(0o755)
    (web / "dist").mkdir()
    (web / "dist" / "index.html").write_text("the last one")
    with pytest.raises(console_build.ConsoleError, match=r"^npm ci failed: .*the registry does not have it$"):
        console_build.build(web, [str(npm)], tmp_path / "scratch")
    assert (web / "dist" / "index.html").read_text() == "the last one"


def test_what_cannot_be_built_is_not_tried_again_until_it_changes(web: Path) -> None:
    assert console_build.stamp(web) != console_build.key(web)
    assert not console_build.give_up(web)
    assert console_build.stamp(web) == console_build.key(web)
    (web / "index.html").write_text("changed")
    assert console_build.stamp(web) != console_build.key(web)


def test_an_older_build_stays_where_a_new_one_fails(web: Path) -> None:
    (web / "dist").mkdir()
    (web / "dist" / "index.html").write_text("older")
    assert console_build.give_up(web)
    assert (web / "dist" / "index.html").read_text() == "older"
    assert console_build.stamp(web) == console_build.key(web)
