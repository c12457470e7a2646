"""CrewAI's tools for E2B: Python in the interpreter, whose state is kept where one asks for that, and a command."""

import os

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true")

from crewai_tools import E2BExecTool, E2BPythonTool

python = E2BPythonTool(persistent=True, sandbox_timeout=120)
try:
    ran = python.run(code="x = 6 * 7\nprint('said')\nx")
    assert (ran["text"], ran["stdout"], ran["error"]) == ("42", ["said\n"], None), ran
    assert python.run(code="x + 1")["text"] == "43"
    assert python.run(code="1 / 0")["error"]["name"] == "ZeroDivisionError"
finally:
    python.close()
ran = E2BExecTool(template="code-interpreter-v1", sandbox_timeout=120).run(command="echo $((6 * 7))")
assert "42" in str(ran), ran
print("all done")
