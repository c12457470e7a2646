"""The code interpreter through a release of its SDK that knows E2B_DOMAIN only, in both flavors."""

import asyncio
import base64

from e2b_code_interpreter import AsyncSandbox, Sandbox

CHART = "import matplotlib.pyplot as plt; plt.plot([1, 2], [3, 4], label='l'); plt.title('T'); plt.show()"


class Blocking:
    """The blocking flavor, awaited."""

    def __init__(self, sandbox):
        self._sandbox = sandbox

    def __getattr__(self, name):
        async def method(*args, **kwargs):
            return getattr(self._sandbox, name)(*args, **kwargs)

        return method


async def check(sandbox):
    seen = []
    execution = await sandbox.run_code(
        "import sys, os; print(os.environ['OWN']); print('err', file=sys.stderr); x = 6; x * 7",
        envs={"OWN": "own"},
        on_stdout=lambda message: seen.append(message.line),
        on_result=lambda result: seen.append(result.text),
    )
    assert (execution.text, execution.logs.stdout, execution.logs.stderr) == ("42", ["own\n"], ["err\n"])
    assert sorted(seen) == ["42", "own\n"]
    failed = await sandbox.run_code("1 / 0")
    assert (failed.error.name, failed.error.value) == ("ZeroDivisionError", "division by zero")
    (result,) = (await sandbox.run_code(CHART)).results
    assert base64.b64decode(result.png)[1:4] == b"PNG"
    chart = result.chart
    assert (chart.type.value, chart.title, chart.elements[0].label) == ("line", "T", "l")
    assert [tuple(point) for point in chart.elements[0].points] == [(1, 3), (2, 4)]
    assert (await sandbox.run_code("console.log(1 + 1)", language="js")).logs.stdout == ["2\n"]
    context = await sandbox.create_code_context(cwd="/tmp", language="python")
    assert (await sandbox.run_code("import os; os.getcwd()", context=context)).text == "/tmp"
    assert (await sandbox.run_code("x", context=context)).error.name == "NameError"
    assert (await sandbox.run_code("x")).text == "6"
    await sandbox.kill()


async def main():
    await check(Blocking(Sandbox(timeout=600)))
    await check(await AsyncSandbox.create(timeout=600))


asyncio.run(main())
print("all done")
