"""The server's program."""

from code_interpreter.main import run

run()
