"""The routes: E2B's six, with its texts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from aiohttp import web

from . import languages
from .context import Context
from .contexts import Contexts, TooMany
from .events import END, KEEPALIVE, Event, line_of
from .launch import KernelError

DEFAULT_CWD = "/home/user"
BODY_MAX_BYTES = 64 * 1024 * 1024
KEEPALIVE_S = 5.0
STALLED_S = 600.0
"""Time in which a client that reads nothing is waited for, while its code waits too"""

_CONTEXTS = web.AppKey("contexts", Contexts)


def create_app(contexts: Contexts) -> web.Application:
    """The application, whose contexts somebody else starts and stops."""
    app = web.Application(client_max_size=BODY_MAX_BYTES, middlewares=[_cors])
    app[_CONTEXTS] = contexts
    app.router.add_get("/health", _health)
    app.router.add_post("/execute", _execute)
    app.router.add_post("/contexts", _create_context)
    app.router.add_get("/contexts", _list_contexts)
    app.router.add_post("/contexts/{id}/restart", _restart_context)
    app.router.add_delete("/contexts/{id}", _remove_context)
    return app


@web.middleware
async def _cors(request: web.Request, handler: Any) -> web.StreamResponse:
    """Pages of any origin may ask: what is protected is protected by tokens, on the way here."""
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        asked = request.headers.get("Access-Control-Request-Headers", "*")
        allowed = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
        return web.Response(
            text="OK",
            headers={
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Allow-Methods": allowed,
                "Access-Control-Allow-Headers": asked,
                "Access-Control-Max-Age": "600",
            },
        )
    return await handler(request)


async def _health(request: web.Request) -> web.Response:
    return _json("OK", request)


async def _execute(request: web.Request) -> web.StreamResponse:
    body = await _body(request)
    code = _member(body, "code", str, required=True)
    context_id = _member(body, "context_id", str)
    language = _member(body, "language", str)
    variables = _variables(body)
    if context_id and language:
        return _text(400, "Only one of context_id or language can be provided", request)
    contexts = request.app[_CONTEXTS]
    try:
        if context_id:
            context = contexts.get(context_id)
        else:
            context = await contexts.default(languages.canonical(language))
    except KeyError:
        return _text(404, f"Context {context_id} not found", request)
    except (KernelError, TooMany) as failure:
        return _text(500, str(failure), request)
    return await _stream(request, context, code, variables)


async def _stream(
    request: web.Request, context: Context, code: str, variables: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", **_origin(request)})
    await response.prepare(request)
    token = request.headers.get("X-Access-Token")
    async with aclosing(_with_keepalives(context.execute(code, variables, token))) as events:
        async for event in events:
            async with asyncio.timeout(STALLED_S):
                await response.write(line_of(event))
    await response.write(line_of(END))
    await response.write_eof()
    return response


async def _with_keepalives(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """Each event as it comes, and one that says nothing after each silence."""
    step: asyncio.Future[Event] | None = None
    try:
        while True:
            step = asyncio.ensure_future(anext(events))
            while not (await asyncio.wait({step}, timeout=KEEPALIVE_S))[0]:
                yield KEEPALIVE
            try:
                event = step.result()
            except StopAsyncIteration:
                return
            yield event
    finally:
        if step is not None and not step.done():
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
        await events.aclose()


async def _create_context(request: web.Request) -> web.Response:
    body = await _body(request)
    language = languages.canonical(_member(body, "language", str))
    cwd = _member(body, "cwd", str) or DEFAULT_CWD
    try:
        context = await request.app[_CONTEXTS].create(language, cwd)
    except (KernelError, TooMany) as failure:
        return _text(500, str(failure), request)
    return _json(context.describe(), request)


async def _list_contexts(request: web.Request) -> web.Response:
    return _json([context.describe() for context in request.app[_CONTEXTS].all()], request)


async def _restart_context(request: web.Request) -> web.Response:
    context_id = request.match_info["id"]
    try:
        await request.app[_CONTEXTS].get(context_id).restart()
    except KeyError:
        return _text(404, f"Context {context_id} not found", request)
    except KernelError:
        return _text(500, f"Failed to restart context {context_id}", request)
    return _json(None, request)


async def _remove_context(request: web.Request) -> web.Response:
    context_id = request.match_info["id"]
    try:
        await request.app[_CONTEXTS].remove(context_id)
    except KeyError:
        return _text(404, f"Context {context_id} not found", request)
    return _json(None, request)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise _invalid(["body"], "JSON decode error") from None
    if not isinstance(body, dict):
        raise _invalid(["body"], "Input should be a valid dictionary")
    return body


def _member(body: dict[str, Any], name: str, kind: type, *, required: bool = False) -> Any:
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, kind):
        raise _invalid(["body", name], "Field required" if name not in body else "Input should be a valid string")
    return value


def _variables(body: dict[str, Any]) -> dict[str, str]:
    variables = body.get("env_vars")
    if variables is None:
        return {}
    if not isinstance(variables, dict):
        raise _invalid(["body", "env_vars"], "Input should be a valid dictionary")
    for key, value in variables.items():
        if not isinstance(value, str) or "\0" in value:
            raise _invalid(["body", "env_vars", key], "Input should be a valid string")
        if not languages.is_variable(key):
            raise _invalid(["body", "env_vars", key], "Input should be the name of an environment variable")
    return variables


def _invalid(place: list[str], message: str) -> web.HTTPException:
    detail = json.dumps({"detail": [{"type": "value_error", "loc": place, "msg": message}]})
    return web.HTTPUnprocessableEntity(text=detail, content_type="application/json")


def _json(value: Any, request: web.Request) -> web.Response:
    return web.json_response(value, headers=_origin(request))


def _text(status: int, text: str, request: web.Request) -> web.Response:
    return web.Response(status=status, text=text, headers=_origin(request))


def _origin(request: web.Request) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": "*"} if "Origin" in request.headers else {}
