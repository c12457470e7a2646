"""The desktop of e2b-desktop: what it launches shows, and takes mouse and keys. Its argument is the page that says so.

What it streams is looked at by who runs this: a line with a URL goes out, and one that comes in says that it was opened.
"""

import json
import sys
import time
from inspect import getsource
from io import BytesIO
from pathlib import Path

from e2b import CommandExitException
from e2b_desktop import Sandbox
from PIL import Image, ImageChops

RED, GREEN = (255, 0, 0), (0, 255, 0)
SHOWN_TIMEOUT_S = 60


def eventually(check):
    """What `check` returns, once that is something."""
    deadline = time.monotonic() + SHOWN_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if found := check():
                return found
        except CommandExitException:
            # A search for windows that finds none.
            pass
        time.sleep(0.25)
    raise TimeoutError(getsource(check))


def middle_of(picture, colour):
    """The middle of what has exactly that colour, if that is much."""
    bands = Image.open(BytesIO(picture)).convert("RGB").split()
    masks = [band.point(lambda value, wanted=wanted: 255 * (value == wanted)) for band, wanted in zip(bands, colour)]
    mask = ImageChops.multiply(ImageChops.multiply(masks[0], masks[1]), masks[2])
    if mask.histogram()[255] < 50_000:
        return None
    left, top, right, bottom = mask.getbbox()
    return (left + right) // 2, (top + bottom) // 2


def opened(**stream):
    """Has a stream opened outside."""
    print(json.dumps(stream), flush=True)
    assert sys.stdin.readline() == "opened\n"


desktop = Sandbox.create(resolution=(1280, 800), dpi=120, timeout=600)
try:
    assert desktop.get_screen_size() == (1280, 800)
    assert "120x120" in desktop.commands.run("xdpyinfo | grep resolution:").stdout

    desktop.files.write("events.html", Path(sys.argv[1]).read_text())
    desktop.launch("google-chrome", "/home/user/events.html")
    x, y = eventually(lambda: middle_of(desktop.screenshot(), RED))
    window = eventually(
        lambda: desktop.get_current_window_id() in desktop.get_application_windows("chromium")
        and desktop.get_current_window_id()
    )
    assert desktop.get_window_title(window) == "ready - Chromium"
    said = ""

    def says(what):
        """Waits until the page has said this, and no more, since its last word."""
        global said
        said += what
        eventually(lambda: desktop.get_window_title(window) == f"{said} - Chromium")
        said += " "

    desktop.left_click(x, y)
    eventually(lambda: middle_of(b"".join(desktop.screenshot("stream")), GREEN))
    says("click")
    assert desktop.get_cursor_position() == (x, y)
    desktop.double_click(x + 30, y)
    says("click click dblclick")
    desktop.right_click(x, y)
    says("auxclick2")
    desktop.middle_click()
    says("auxclick1")
    desktop.scroll("down", 2)
    says("down down")
    desktop.scroll("up")
    says("up")
    desktop.drag((x, y), (x + 40, y + 20))
    says("drag40,20 click")
    desktop.press(["ctrl", "a"])
    says("ctrl+a")
    desktop.press("enter")
    says("Enter")
    desktop.write("aé日")
    says("a é 日")

    desktop.files.write("notes.txt", "notes")
    desktop.open("/home/user/notes.txt")
    eventually(lambda: desktop.get_current_window_id() in desktop.get_application_windows("mousepad"))
    desktop.press(["alt", "f4"])
    eventually(lambda: desktop.get_current_window_id() == window)

    desktop.stream.start()
    opened(url=desktop.stream.get_url())
    desktop.stream.stop()
    desktop.stream.start(require_auth=True)
    key = desktop.stream.get_auth_key()
    opened(url=desktop.stream.get_url(auth_key=key), closed=desktop.stream.get_url(auth_key="another"))
    desktop.stream.stop()
finally:
    desktop.kill()
print("all done")
