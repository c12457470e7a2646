"""Agno's E2BTools, its functions called as an agent calls them."""

from agno.tools.e2b import E2BTools

CHART = """
import matplotlib.pyplot as plt
plt.bar(['a', 'b'], [1, 2])
plt.show()
"""

tools = E2BTools(timeout=120)
call = {name: function.entrypoint for name, function in tools.functions.items()}
try:
    assert "Result 1: 42" in call["run_python_code"]("x = 6 * 7\nx")
    assert "said" in call["run_python_code"]("print('said', x)")
    assert call["run_python_code"]("1 / 0").startswith("Error: ZeroDivisionError"), "an error is none"
    call["run_python_code"](CHART)
    image = call["download_png_result"](0)
    assert len(image.images) == 1, image
    call["write_file_content"]("/home/user/a.txt", "kept")
    assert call["read_file_content"]("/home/user/a.txt") == "kept"
    assert "a.txt" in call["list_files"]("/home/user")
    assert "42" in call["run_command"]("echo $((6 * 7))")
finally:
    call["shutdown_sandbox"]()
print("all done")
