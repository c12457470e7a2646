"""Fixtures, and the report that python.test.ts reads.

The server is named by E2B_API_KEY, E2B_API_URL and E2B_SANDBOX_URL; E2B_TEST_NEIGHBOUR is address and port of a machine
that sandboxes reach where they reach any; E2B_TEST_FLAVOR is the one flavor that is run; E2B_TEST_REPORT is the file for the
report: one JSON object for each test.
"""

import asyncio
import json
import os
import time

import pytest
import pytest_asyncio

from flavors import flavors, has, threads


def pytest_generate_tests(metafunc):
    if "flavor" in metafunc.fixturenames:
        wanted = [flavor for flavor in flavors if flavor.name == os.environ["E2B_TEST_FLAVOR"]]
        metafunc.parametrize("flavor", wanted, ids=lambda flavor: flavor.name, scope="module")


def pytest_collection_modifyitems(config, items):
    """Leaves out what this release of the SDK doesn't have: a skipped test would count as one not run."""
    kept = [item for item in items if all(has(*mark.args) for mark in item.iter_markers("needs"))]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.flavor = item.callspec.getparam("flavor").name
    report.title = item.function.__doc__ or item.originalname
    report.proves = [method for mark in item.iter_markers("proves") for method in mark.args]
    return report


def pytest_runtest_logreport(report):
    """A test has passed when its body has; whatever fails before or after fails it."""
    if report.when != "call" and report.passed:
        return
    line = {
        "file": report.location[0],
        "title": report.title.strip(),
        "flavor": report.flavor,
        "proves": report.proves,
        "outcome": report.outcome,
        "message": report.longreprtext,
        "durationMs": report.duration * 1000,
    }
    with open(os.environ["E2B_TEST_REPORT"], "a") as file:
        file.write(json.dumps(line) + "\n")


@pytest_asyncio.fixture(scope="session", autouse=True)
async def enough_threads():
    asyncio.get_running_loop().set_default_executor(threads)


@pytest_asyncio.fixture(scope="module")
async def sandbox(flavor):
    """One sandbox for the tests of a module that don't mind company."""
    created = await flavor.Sandbox.create(timeout=600)
    yield created
    await created.kill()


@pytest.fixture
def eventually():
    """Waits until a check gives a true value, and returns it."""

    async def wait(check, timeout=10.0):
        deadline = time.monotonic() + timeout
        while True:
            result = check()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return result
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.02)

    return wait
