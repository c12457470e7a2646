"""Verifiers: `vf-eval` with the runtime `e2b` builds its template, runs a task in each sandbox and scores what is left
there. The program inside takes a model's place; the framework's way to one is open but unused."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

PLUGIN = '''
import verifiers.v1 as vf


class SumData(vf.TaskData):
    question: str


class SumTask(vf.Task[SumData, vf.State, vf.TaskConfig]):
    async def setup(self, runtime: vf.Runtime) -> None:
        await runtime.write("question.txt", self.data.question.encode())

    @vf.reward
    async def answered(self, runtime: vf.Runtime) -> float:
        return float((await runtime.read("answer.txt")) == b"42\\n")


class Sums(vf.Taskset[SumTask, vf.TasksetConfig]):
    def load(self):
        for idx, question in enumerate(["6*7", "6*8"]):
            yield SumTask(SumData(idx=idx, name=question, prompt="Answer question.txt.", question=question))


class CounterConfig(vf.HarnessConfig):
    pass


class Counter(vf.Harness[CounterConfig]):
    async def launch(self, ctx, trace, runtime, endpoint, secret, mcp_urls, data, tool_interception_url=None):
        return await runtime.run_program(["sh", "-c", "echo $(($(cat question.txt))) > answer.txt"], {})


__all__ = ["Sums", "Counter"]
'''


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    (folder / "sums.py").write_text(PLUGIN)
    port = free_port()
    options = {
        "env.agent.harness.id": "sums",
        "env.agent.runtime.type": "e2b",
        # The stock template under the name that E2B's SDKs have for its image, so that no registry is asked.
        "env.agent.runtime.image": "e2bdev/base",
        "env.interception.type": "server",
        "env.interception.tunnel.type": "custom",
        "env.interception.tunnel.url": f"http://127.0.0.1:{port}",
        "env.interception.tunnel.port": str(port),
        "output-dir": str(folder / "out"),
    }
    program = Path(sys.executable).with_name("vf-eval")
    given = [part for key, value in options.items() for part in (f"--{key}", value)]
    ran = subprocess.run(
        [sys.executable, program, "sums", *given, "--no-rich", "--no-push"],
        env={**os.environ, "HOME": name, "PYTHONPATH": name},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout
    [results] = (folder / "out").glob("*/traces.jsonl")
    episodes = [json.loads(line) for line in results.read_text().splitlines()]
    traces = [trace for episode in episodes for trace in episode["traces"]]
    assert all(trace["ok"] for trace in traces), ran.stdout
    scores = {trace["task"]["data"]["name"]: trace["rewards"]["answered"]["score"] for trace in traces}
    assert scores == {"6*7": 1.0, "6*8": 0.0}, scores
    [template] = {trace["agent"]["runtime"]["template"] for trace in traces}
    assert template.startswith("vf-"), template
print("all done")
