"""E2BTools of upsonic: each function called directly, with state from call to call."""

import json
import tempfile
from pathlib import Path

from upsonic.tools.custom_tools.e2b import E2BTools

tools = E2BTools(timeout=120)
try:
    first = json.loads(tools.e2b_run_code("x = 6; print('out'); x * 7", envs={"OWN": "own"}))
    assert "42" in json.dumps(first) and "out" in json.dumps(first), first
    assert "6" in tools.e2b_run_code("x")
    assert "ZeroDivisionError" in tools.e2b_run_code("1/0")
    assert "js" in tools.e2b_run_code("console.log('j' + 's')", language="javascript")
    plot = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"
    assert "error" not in json.loads(tools.e2b_run_code(plot))
    ran = json.loads(tools.e2b_run_command("echo $((6 * 7)); exit 0"))
    assert ran["exit_code"] == 0 and ran["stdout"].strip() == "42", ran

    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder, "here.txt")
        here.write_text("up")
        assert json.loads(tools.e2b_upload_file(str(here))) == {"path": "/home/user/here.txt"}
        tools.e2b_write_file("/home/user/there.txt", "down")
        assert tools.e2b_read_file("/home/user/there.txt") == "down"
        tools.e2b_download_file("/home/user/there.txt", str(Path(folder, "there.txt")))
        assert Path(folder, "there.txt").read_text() == "down"
    names = {entry["name"] for entry in json.loads(tools.e2b_list_files())}
    assert {"here.txt", "there.txt"} <= names, names
    assert json.loads(tools.e2b_get_sandbox_info())["template_id"] == "code-interpreter-v1"
finally:
    assert json.loads(tools.e2b_shutdown_sandbox())["status"] == "success"
print("all done")
