"""The languages: their names, and how a kernel of each is told of its environment and its directory."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass


def _python(text: str) -> str:
    return repr(text)


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _json(text: str) -> str:
    # R has no surrogate pairs, JavaScript and Java read them; characters themselves are right in all three.
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class Language:
    """Code that changes a kernel's environment. Each takes plain text and quotes it."""

    kernel: str
    """Name of the kernel's specification"""
    set_variable: Callable[[str, str], str]
    delete_variable: Callable[[str], str]
    prelude: str = ""
    """Code that each kernel runs before its first"""
    fence: Callable[[str], str] | None = None
    """Code that prints a text, for kernels that say that they are idle before all output is out"""
    interruptible: bool = True
    """Whether the kernel gives up what it runs when it is asked to; others are replaced"""
    traceback_separator: str = ""


# What programs for Node expect without an import, and output that is written past the console.
_NODE = """
globalThis.require = (await import('node:module')).createRequire(process.cwd() + '/');
globalThis.__dirname = process.cwd();
globalThis.global = globalThis;
for (const [stream, isError] of [[process.stdout, false], [process.stderr, true]]) {
  const { print } = Deno[Deno.internal].core;
  stream.write = (chunk, encoding, callback) => {
    print(typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk), isError);
    const done = typeof encoding === 'function' ? encoding : callback;
    if (done) queueMicrotask(done);
    return true;
  };
}
"""

_JAVASCRIPT = Language(
    kernel="javascript",
    set_variable=lambda key, value: f"process.env[{_json(key)}] = {_json(value)};",
    delete_variable=lambda key: f"delete process.env[{_json(key)}];",
    prelude=_NODE,
    # Results are sent by a task that a turn of the event loop finishes.
    fence=lambda text: (
        f"await new Promise((done) => setTimeout(done, 0)); Deno[Deno.internal].core.print({_json(text)}, false);"
    ),
    interruptible=False,
    traceback_separator="\n",
)

_LANGUAGES = {
    "python": Language(
        kernel="python",
        set_variable=lambda key, value: f"__import__('os').environ[{_python(key)}] = {_python(value)}",
        delete_variable=lambda key: f"__import__('os').environ.pop({_python(key)}, None)",
    ),
    "javascript": _JAVASCRIPT,
    "typescript": _JAVASCRIPT,
    "bash": Language(
        kernel="bash",
        set_variable=lambda key, value: f"export {key}={_shell(value)}",
        delete_variable=lambda key: f"unset {key}",
    ),
    "r": Language(
        kernel="r",
        set_variable=lambda key, value: f"invisible(do.call(Sys.setenv, setNames(list({_json(value)}), {_json(key)})))",
        delete_variable=lambda key: f"Sys.unsetenv({_json(key)})",
    ),
    # A Java program can't change its environment, so variables are properties too, as E2B has them.
    "java": Language(
        kernel="java",
        set_variable=lambda key, value: f"System.setProperty({_json(key)}, {_json(value)});",
        delete_variable=lambda key: f"System.clearProperty({_json(key)});",
    ),
}

_ALIASES = {"js": "javascript", "ts": "typescript", "py": "python", "sh": "bash"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def canonical(language: str | None) -> str:
    """A language's name, Python's where none is given."""
    name = (language or "").strip().lower() or "python"
    return _ALIASES.get(name, name)


def find(name: str) -> Language:
    """How a language is spoken to; kernels that a user installed are run as they are."""
    known = _LANGUAGES.get(name)
    if known is not None:
        return known
    return Language(kernel=name, set_variable=lambda key, value: "", delete_variable=lambda key: "")


def is_variable(name: str) -> bool:
    """Whether all languages can have a variable of that name."""
    return _VARIABLE.match(name) is not None
