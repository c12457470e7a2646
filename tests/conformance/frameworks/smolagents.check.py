"""E2BExecutor needs a template that isn't there yet: it has to be told which are."""

from smolagents.monitoring import AgentLogger, LogLevel
from smolagents.remote_executors import E2BExecutor

try:
    E2BExecutor([], AgentLogger(level=LogLevel.OFF))
except Exception as error:
    assert 'Template "code-interpreter-v1" doesn\'t exist' in str(error), error
    assert 'Templates of this server: ' in str(error) and '"base"' in str(error), error
else:
    raise AssertionError("it works: docs/works-with.md must say so")
print("all done")
