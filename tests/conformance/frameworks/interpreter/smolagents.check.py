"""E2BExecutor: what an agent's steps run and keep, variables and tools that they are given, and how they end."""

from smolagents import tool
from smolagents.default_tools import FinalAnswerTool
from smolagents.monitoring import AgentLogger, LogLevel
from smolagents.remote_executors import E2BExecutor
from smolagents.utils import AgentError


@tool
def doubled(number: int) -> int:
    """Doubles a number.

    Args:
        number: What to double.
    """
    return number * 2


executor = E2BExecutor([], AgentLogger(level=LogLevel.OFF))
try:
    ran = executor("x = 6 * 7\nprint('said')\nx")
    assert (ran.output, ran.logs.strip(), ran.is_final_answer) == ("42", "said", False), ran
    assert executor("x + 1").output == "43"
    try:
        executor("1 / 0")
    except AgentError as error:
        assert "ZeroDivisionError" in str(error), error
    else:
        raise AssertionError("an error is none")
    image = executor("from PIL import Image\nImage.new('RGB', (3, 2), 'red')").output
    red, green, blue = image.convert("RGB").getpixel((0, 0))
    assert image.size == (3, 2) and red > 240 and max(green, blue) < 15, (image, red, green, blue)
    executor.send_variables({"given": [1, 2]})
    executor.send_tools({"doubled": doubled, "final_answer": FinalAnswerTool()})
    last = executor("final_answer(doubled(sum(given)))")
    assert (last.output, last.is_final_answer) == (6, True), last
finally:
    executor.cleanup()
print("all done")
