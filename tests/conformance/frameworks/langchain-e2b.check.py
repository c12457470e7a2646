"""The backend of Deep Agents: commands and files by its own tools."""

import e2b
from langchain_e2b import E2BSandbox

sandbox = e2b.Sandbox.create(template="base", timeout=120)
try:
    backend = E2BSandbox(sandbox=sandbox)
    ran = backend.execute("echo $((6 * 7)); exit 3")
    assert (ran.output.strip(), ran.exit_code) == ("42", 3), ran
    backend.write("/home/user/a.txt", "one\ntwo\n")
    edited = backend.edit("/home/user/a.txt", "two", "three")
    assert edited.error is None and edited.occurrences == 1, edited
    assert "three" in backend.read("/home/user/a.txt").file_data["content"]
    assert any(entry["path"].endswith("/a.txt") for entry in backend.ls("/home/user").entries)
    [match] = backend.grep("three", "/home/user").matches
    assert match["line"] == 2, match
finally:
    sandbox.kill()
print("all done")
