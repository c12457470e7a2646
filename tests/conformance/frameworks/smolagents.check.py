"""E2BExecutor runs code where its template is built, and says how to have it built where it is not."""

from smolagents.monitoring import AgentLogger, LogLevel
from smolagents.remote_executors import E2BExecutor

try:
    executor = E2BExecutor([], AgentLogger(level=LogLevel.OFF))
except Exception as error:
    assert 'Template "code-interpreter-v1" does not exist yet' in str(error), error
    assert "templates build code-interpreter-v1" in str(error), error
else:
    try:
        assert "42" in executor.run_code_raise_errors("print(6 * 7)").logs
    finally:
        executor.cleanup()
print("all done")
