"""What a name of a revision stands for: `revision.resolve`."""

from __future__ import annotations

import pytest
from salt.exceptions import CommandExecutionError
from support.git_repository import ABSENT


@pytest.mark.parametrize("with_clone", [True, False])
def test_branches_tags_and_commits_resolve(revision, repository, home, with_clone):
    first, second = repository.commit(a="1"), repository.commit(a="2")
    repository.tag("v1", first, annotated=True)
    repository.tag("light/1", first)
    where = {"directory": str(home)} if with_clone else {}
    expected = {"main": second, "HEAD": second, "refs/heads/main": second, "v1": first, "light/1": first}
    expected |= {first: first, first[:7]: first, first[:7].upper(): first, second[:10]: second}
    assert {rev: revision("resolve", repository.address, rev, **where) for rev in expected} == expected


def test_a_commit_that_came_later_is_fetched(revision, repository, home):
    revision("prepare", str(home), repository.address, repository.commit(a="1"))
    later = repository.commit(a="2")
    assert revision("resolve", repository.address, later[:8], directory=str(home)) == later


def test_a_known_commit_resolves_while_the_repository_is_away(revision, repository, home):
    sha = repository.commit(a="1")
    revision("prepare", str(home), repository.address, sha)
    assert revision("resolve", "http://127.0.0.1:1/gone.git", sha, directory=str(home)) == sha


def test_an_unknown_revision_is_one_sentence(revision, repository, home):
    repository.commit(a="1")
    for rev in ("nothing", "abcd1234", ABSENT):
        with pytest.raises(CommandExecutionError, match=rf"^http://.*\.git has no branch, tag or commit {rev}$"):
            revision("resolve", repository.address, rev, directory=str(home))


def test_one_name_for_two_commits_is_ambiguous(revision, repository):
    first, second = repository.commit(a="1"), repository.commit(branch="v1", a="2")
    repository.tag("v1", first)
    told = rf"v1 is ambiguous in .*: refs/tags/v1 \({first[:12]}\) and refs/heads/v1 \({second[:12]}\); give one"
    with pytest.raises(CommandExecutionError, match=told):
        revision("resolve", repository.address, "v1")
    assert revision("resolve", repository.address, "refs/heads/v1") == second


def test_too_few_digits_are_ambiguous(revision, repository, home):
    """With some 700 commits two begin with the same four digits; trees and files that do are no matter."""
    tree = repository.git("mktree", given="")
    seen: dict[str, str] = {}
    parent: list[str] = []
    for number in range(3000):
        sha = repository.git("commit-tree", tree, *parent, given=f"{number}")
        parent = ["-p", sha]
        if sha[:4] in seen:
            break
        seen[sha[:4]] = sha
    repository.git("update-ref", "refs/heads/main", sha)
    repository.publish()
    with pytest.raises(CommandExecutionError, match=rf"{sha[:4]} is ambiguous in .*: 2 commits begin so"):
        revision("resolve", repository.address, sha[:4], directory=str(home))
    assert revision("resolve", repository.address, sha[:12], directory=str(home)) == sha


@pytest.mark.parametrize(
    "rev", ["--upload-pack=id", "a b", "a..b", "", "main@{1}", "x\ny", "a~1", "a.lock", "/a", "a/.b"]
)
def test_what_is_no_name_never_reaches_git(revision, repository, rev):
    with pytest.raises(CommandExecutionError, match="is not the name of a revision"):
        revision("resolve", repository.address, rev)


@pytest.mark.parametrize("name", ["fix/ümlaut", "a;b", "it's", "100%", "(v1)", "#12", "a{b}", "$HOME", "&&", "日本"])
def test_whatever_git_takes_as_a_name_is_one(revision, repository, home, name):
    sha = repository.commit(branch=name, a=name)
    assert revision("resolve", repository.address, name, directory=str(home)) == sha
    assert revision("prepare", str(home), repository.address, sha)["changed"] is True


def test_an_unreachable_repository_says_so_without_its_password(revision):
    with pytest.raises(CommandExecutionError, match=r"git ls-remote http://127.0.0.1:1/a.git failed") as caught:
        revision("resolve", "http://joe:secret@127.0.0.1:1/a.git", "main")
    assert "secret" not in str(caught.value)
