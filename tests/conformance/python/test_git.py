import pytest
from e2b import GitAuthException
from pytest import mark

remote = "git://127.0.0.1/shared.git"


@mark.proves(
    *["git." + method for method in ("init", "add", "commit", "status", "reset", "restore", "remoteAdd", "remoteGet")],
    *["git." + method for method in ("push", "clone", "pull", "setConfig", "getConfig", "configureUser")],
    *["git." + method for method in ("branches", "createBranch", "checkoutBranch", "deleteBranch")],
)
async def test_repository(sandbox, eventually):
    """a repository, its branches and its remote"""
    git, files, run = sandbox.git, sandbox.files, sandbox.commands.run
    await git.configure_user("Ada", "ada@example.com")
    assert await git.get_config("user.name") == "Ada"
    await git.init("/home/user/srv/shared.git", bare=True, initial_branch="main")
    await run("git daemon --export-all --enable=receive-pack --base-path=/home/user/srv", background=True, timeout=0)

    async def served():
        return "up" in (await run(f"git ls-remote {remote} && echo up || true")).stdout

    await eventually(served)

    await git.init("work", initial_branch="main")
    await git.set_config("core.editor", "true", scope="local", path="work")
    await files.write("work/a.txt", "one\n")
    assert (await git.status("work")).is_clean is False
    await git.add("work")
    await git.commit("work", "First")
    assert (await git.status("work")).is_clean is True

    await files.write("work/a.txt", "changed\n")
    await git.add("work")
    await git.reset("work")
    await git.restore("work", paths=["a.txt"])
    assert await files.read("work/a.txt") == "one\n"

    await git.create_branch("work", "side")
    assert (await git.branches("work")).current_branch == "side"
    await git.checkout_branch("work", "main")
    await git.delete_branch("work", "side")
    assert (await git.branches("work")).branches == ["main"]

    await git.remote_add("work", "origin", remote)
    assert await git.remote_get("work", "origin") == remote
    await git.push("work", remote="origin", branch="main")
    await git.clone(remote, path="copy")
    await files.write("copy/a.txt", "two\n")
    await git.add("copy")
    await git.commit("copy", "Second")
    await git.push("copy")
    await git.pull("work")
    assert await files.read("work/a.txt") == "two\n"


@mark.proves("git.dangerouslyAuthenticate", "git.clone")
async def test_credentials(sandbox):
    """credentials are kept where git looks; a remote that refuses"""
    await sandbox.git.dangerously_authenticate("ada", "s3cret", host="git.example.com")
    filled = await sandbox.commands.run("printf 'protocol=https\\nhost=git.example.com\\n\\n' | git credential fill")
    assert "password=s3cret" in filled.stdout
    with pytest.raises(GitAuthException):
        await sandbox.git.clone("git://127.0.0.1/none.git", path="none")
