"""The code interpreter: running code, contexts, and charts as data."""

import asyncio
import base64

import pytest
import pytest_asyncio
from e2b import TimeoutException
from e2b_code_interpreter import AsyncSandbox, Sandbox

from flavors import Face, call_in_loop, call_in_thread

classes = {"sync": Face(Sandbox, call_in_thread), "async": Face(AsyncSandbox, call_in_loop)}


@pytest_asyncio.fixture(scope="module")
async def interpreter(flavor):
    """One sandbox for all tests."""
    created = await classes[flavor.name].create(timeout=600, envs={"GLOBAL": "of the sandbox"})
    yield created
    await created.kill()


async def test_run(interpreter):
    """run_code gives results, output and errors, and calls back for each"""
    seen = []
    execution = await interpreter.run_code(
        "import sys; print('out'); print('err', file=sys.stderr); 'text'",
        on_stdout=lambda message: seen.append(("stdout", message.line, message.error)),
        on_stderr=lambda message: seen.append(("stderr", message.line, message.error)),
        on_result=lambda result: seen.append(("result", result.text, result.is_main_result)),
    )
    assert execution.text == "text"
    assert execution.logs.stdout == ["out\n"] and execution.logs.stderr == ["err\n"]
    assert sorted(seen) == [("result", "text", True), ("stderr", "err\n", True), ("stdout", "out\n", False)]
    errors = []
    failed = await interpreter.run_code("missing", on_error=errors.append)
    assert (failed.error.name, failed.error.value) == ("NameError", "name 'missing' is not defined")
    assert "NameError" in failed.error.traceback and [error.name for error in errors] == ["NameError"]


async def test_contexts(interpreter):
    """contexts keep their state and directory, are listed, restarted and removed"""
    context = await interpreter.create_code_context(cwd="/tmp", language="python")
    assert (context.language, context.cwd) == ("python", "/tmp")
    assert (await interpreter.run_code("import os; a = os.getcwd(); a", context=context)).text == "/tmp"
    assert context.id in [each.id for each in await interpreter.list_code_contexts()]
    await interpreter.restart_code_context(context)
    assert (await interpreter.run_code("a", context=context)).error.name == "NameError"
    await interpreter.remove_code_context(context)
    with pytest.raises(Exception, match=f"Context {context.id} not found"):
        await interpreter.run_code("a", context=context)


async def test_languages(interpreter):
    """languages by name, each with the variables of the sandbox and of the execution"""
    script = 'console.log(`${process.env.GLOBAL} ${process.env.OWN}`)'
    execution = await interpreter.run_code(script, language="javascript", envs={"OWN": "own"})
    assert execution.logs.stdout == ["of the sandbox own\n"]
    execution = await interpreter.run_code("import os; print(os.environ['OWN'])", envs={"OWN": "it's"})
    assert execution.logs.stdout == ["it's\n"]
    with pytest.raises(Exception, match="no kernel for the language 'cobol'"):
        await interpreter.run_code("1", language="cobol")
    with pytest.raises(Exception, match="no kernel for the language 'cobol'"):
        await interpreter.create_code_context(language="cobol")
    with pytest.raises(Exception, match="Failed to set working directory"):
        await interpreter.create_code_context(cwd="/nowhere")
    with pytest.raises(Exception, match="Only one of context_id or language|both at the same time"):
        await interpreter.run_code("1", language="python", context=(await interpreter.list_code_contexts())[0])


async def test_timeout(interpreter):
    """a timeout interrupts the code, and the context stays"""
    await interpreter.run_code("kept = 7")
    with pytest.raises(TimeoutException):
        await interpreter.run_code("import time; time.sleep(300)", timeout=1)
    assert (await interpreter.run_code("kept")).text == "7"


async def test_parallel(flavor, interpreter):
    """twenty executions at once, in two contexts"""
    other = await interpreter.create_code_context()
    runs = [
        interpreter.run_code(f"print({n}); {n}", **({"context": other} if n % 2 else {})) for n in range(20)
    ]
    assert [execution.text for execution in await asyncio.gather(*runs)] == [str(n) for n in range(20)]
    await interpreter.remove_code_context(other)


async def chart_of(interpreter, code):
    execution = await interpreter.run_code(f"import matplotlib.pyplot as plt\n{code}\nplt.show()")
    assert execution.error is None, execution.error
    (result,) = execution.results
    assert base64.b64decode(result.png)[1:4] == b"PNG"
    return result.chart


async def test_line_chart(interpreter):
    """a line chart has its points, labels, units and ticks"""
    chart = await chart_of(
        interpreter,
        """
plt.plot([1, 2, 3], [1, 4, 9], label="squares")
plt.plot([1, 2, 3], [3, 2, 1])
plt.title("Growth"); plt.xlabel("Time (s)"); plt.ylabel("Length [m]")
plt.xticks([1, 2, 3], ["one", "two", "three"])""",
    )
    assert (chart.type.value, chart.title) == ("line", "Growth")
    assert (chart.x_label, chart.x_unit, chart.y_label, chart.y_unit) == ("Time (s)", "s", "Length [m]", "m")
    assert (chart.x_ticks, chart.x_tick_labels) == ([1.0, 2.0, 3.0], ["one", "two", "three"])
    assert (chart.x_scale.value, chart.y_scale.value) == ("linear", "linear")
    assert [line.label for line in chart.elements] == ["squares", "Line 1"]
    assert [line.points for line in chart.elements] == [[(1, 1), (2, 4), (3, 9)], [(1, 3), (2, 2), (3, 1)]]


async def test_scales(interpreter):
    """times, categories and logarithms are scales of charts"""
    chart = await chart_of(
        interpreter,
        """
import datetime
plt.plot([datetime.date(2024, 1, 1), datetime.date(2024, 1, 3)], [1, 1000])
plt.yscale("log")""",
    )
    assert (chart.x_scale.value, chart.y_scale.value) == ("datetime", "log")
    assert chart.elements[0].points == [("2024-01-01", 1), ("2024-01-03", 1000)]
    assert all(tick.startswith(("2023", "2024")) for tick in chart.x_ticks)
    chart = await chart_of(interpreter, "plt.plot(['a', 'b'], [1, 2])")
    assert chart.x_scale.value == "categorical" and chart.x_tick_labels == ["a", "b"]


async def test_scatter_chart(interpreter):
    """a scatter chart has the points of each series"""
    chart = await chart_of(
        interpreter, "plt.scatter([1, 2], [3, 4], label='A'); plt.scatter([5], [6], label='B'); plt.legend()"
    )
    assert chart.type.value == "scatter"
    assert [(each.label, each.points) for each in chart.elements] == [("A", [(1, 3), (2, 4)]), ("B", [(5, 6)])]


async def test_bar_chart(interpreter):
    """bar charts have their values by label and group, standing or lying"""
    chart = await chart_of(
        interpreter, "plt.bar(['x', 'y'], [1, 2.5], label='G'); plt.xlabel('Kind'); plt.ylabel('Count')"
    )
    assert (chart.type.value, chart.x_label, chart.y_label) == ("bar", "Kind", "Count")
    assert [(bar.label, bar.group, float(bar.value)) for bar in chart.elements] == [("x", "G", 1), ("y", "G", 2.5)]
    chart = await chart_of(
        interpreter, "plt.barh(['x', 'y', 'z'], [3, 3, 3]); plt.xlabel('Count'); plt.ylabel('Kind')"
    )
    assert (chart.type.value, chart.x_label, chart.y_label) == ("bar", "Kind", "Count")
    assert [(bar.label, bar.group, bar.value) for bar in chart.elements] == [
        ("x", "Group 0", 3),
        ("y", "Group 0", 3),
        ("z", "Group 0", 3),
    ]


async def test_pie_chart(interpreter):
    """a pie chart has the angle of each slice"""
    chart = await chart_of(interpreter, "plt.pie([1, 3], labels=['small', 'large']); plt.title('Pie')")
    assert (chart.type.value, chart.title) == ("pie", "Pie")
    assert [(each.label, each.angle, each.radius) for each in chart.elements] == [("small", 90, 1), ("large", 270, 1)]


@pytest.mark.parametrize("lying", [False, True], ids=["standing", "lying"])
async def test_box_chart(interpreter, lying):
    """a box chart has five numbers and the outliers of each box"""
    chart = await chart_of(
        interpreter,
        f"""
plt.boxplot([[1, 2, 3, 4, 5], [2, 4, 6, 8, 30]], tick_labels=["a", "b"], patch_artist=True, vert={not lying})
plt.{"ylabel" if lying else "xlabel"}("Group")""",
    )
    assert (chart.type.value, chart.x_label) == ("box_and_whisker", "Group")
    assert [
        (box.label, box.min, box.first_quartile, box.median, box.third_quartile, box.max, box.outliers)
        for box in chart.elements
    ] == [("a", 1, 2, 3, 4, 5, []), ("b", 2, 4, 6, 8, 8, [30])]


async def test_superchart(interpreter):
    """several charts in a figure are one superchart; what is none of the kinds is unknown; an empty one is no chart"""
    chart = await chart_of(
        interpreter,
        """
figure, (left, right) = plt.subplots(1, 2)
figure.suptitle("Both")
left.plot([1, 2], [3, 4]); right.bar(["q"], [5])""",
    )
    assert (chart.type.value, chart.title) == ("superchart", "Both")
    assert [each.type.value for each in chart.elements] == ["line", "bar"]
    assert chart.elements[0].elements[0].points == [(1, 3), (2, 4)]
    assert float(chart.elements[1].elements[0].value) == 5
    chart = await chart_of(interpreter, "plt.imshow([[1, 2], [3, 4]])")
    assert (chart.type.value, chart.elements) == ("unknown", [])
    assert await chart_of(interpreter, "plt.figure(); plt.axes()") is None
