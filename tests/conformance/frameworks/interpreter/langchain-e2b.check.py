"""LangChain with the interpreter: its backend and a tool of its own kind share one sandbox."""

from e2b_code_interpreter import Sandbox
from langchain_core.tools import StructuredTool
from langchain_e2b import E2BSandbox

with Sandbox.create(timeout=120) as sandbox:
    backend = E2BSandbox(sandbox=sandbox)

    def run_python(code: str) -> str:
        """Runs Python code, whose state is kept from call to call."""
        execution = sandbox.run_code(code)
        return execution.error.name if execution.error else "".join(execution.logs.stdout) + (execution.text or "")

    python = StructuredTool.from_function(run_python)
    backend.write("/home/user/numbers.csv", "n\n40\n2\n")
    code = "import pandas as pd\ntotal = int(pd.read_csv('numbers.csv').n.sum())\nprint('read')\ntotal"
    assert python.invoke({"code": code}) == "read\n42"
    assert python.invoke({"code": "open('total.txt', 'w').write(str(total))"}) == "2"
    assert python.invoke({"code": "1 / 0"}) == "ZeroDivisionError"
    assert backend.execute("cat total.txt").output.strip() == "42"
print("all done")
