"""The tools of arcade-e2b, called directly: programs of an SDK 1.x find the server by E2B_DOMAIN."""

import base64
import os

from arcade_core.schema import ToolContext, ToolSecretItem
from arcade_e2b.enums import E2BSupportedLanguage
from arcade_e2b.tools import create_static_matplotlib_chart, run_code

context = ToolContext(secrets=[ToolSecretItem(key="E2B_API_KEY", value=os.environ["E2B_API_KEY"])])

said = run_code(context, "print(6 * 7); 1/0")
assert "42" in said and "ZeroDivisionError" in said, said
assert "js" in run_code(context, "console.log('j' + 's')", E2BSupportedLanguage.JAVASCRIPT)

chart = create_static_matplotlib_chart(context, "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()")
assert base64.b64decode(chart["base64_image"])[1:4] == b"PNG" and chart["error"] is None, chart
print("all done")
