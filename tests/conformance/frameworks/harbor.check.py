"""Harbor: a whole job of its command line, whose template is built from a task's Dockerfile, and its environment in a
template that is there already; no model is behind either."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harbor.environments.e2b import E2BEnvironment
from harbor.models.task.config import EnvironmentConfig
from harbor.models.trial.paths import TrialPaths

TASK = {
    "task.toml": 'version = "1.0"\n[environment]\ncpus = 1\nmemory_mb = 512\nstorage_mb = 1024\n',
    "instruction.md": "Write the answer to the question in question.txt to answer.txt.\n",
    # The stock template under the name that E2B's SDKs have for its image, so that no registry is asked.
    "environment/Dockerfile": "FROM e2bdev/base\nWORKDIR /app\nCOPY question.txt .\nRUN echo built > mark\nENV UNIT=apples\n",
    "environment/question.txt": "six times seven",
    "solution/solve.sh": '#!/bin/sh\ngrep -q seven question.txt && echo "42 $UNIT" > answer.txt\n',
    "tests/test.sh": "#!/bin/sh\n"
    'if [ "$(cat /app/mark)" = built ] && [ "$(cat /app/answer.txt)" = "42 apples" ]; then echo 1; else echo 0; fi'
    " > /logs/verifier/reward.txt\n",
}


def job(folder: Path) -> None:
    """One attempt by the agent that runs the solution and one by the agent that does nothing, side by side."""
    for name, text in TASK.items():
        (folder / "task" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "task" / name).write_text(text)
    config = {
        "job_name": "checked",
        "jobs_dir": str(folder / "jobs"),
        "tasks": [{"path": str(folder / "task")}],
        "agents": [{"name": "oracle"}, {"name": "nop"}],
        "environment": {"type": "e2b"},
    }
    (folder / "job.json").write_text(json.dumps(config))
    program = Path(sys.executable).with_name("harbor")
    ran = subprocess.run(
        [sys.executable, program, "run", "-c", folder / "job.json", "-q"],
        env={**os.environ, "HOME": str(folder), "HARBOR_TELEMETRY": "off"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    result = folder / "jobs" / "checked" / "result.json"
    assert ran.returncode == 0 and result.exists(), ran.stdout
    stats = json.loads(result.read_text())["stats"]
    assert (stats["n_completed_trials"], stats["n_errored_trials"]) == (2, 0), ran.stdout
    means = {name: each["metrics"][0]["mean"] for name, each in stats["evals"].items()}
    assert means == {"oracle__adhoc": 1.0, "nop__adhoc": 0.0}, means
    rewards = sorted(path.read_text().strip() for path in result.parent.glob("*/verifier/reward.txt"))
    assert rewards == ["0", "1"], rewards


async def prebuilt(folder: Path) -> None:
    definition = folder / "environment"
    definition.mkdir(parents=True)
    (definition / "Dockerfile").write_text("FROM e2bdev/base\n")
    trial = TrialPaths(folder / "trial")
    trial.mkdir()
    environment = E2BEnvironment(
        environment_dir=definition,
        environment_name="checked",
        session_id="checked__env",
        trial_paths=trial,
        task_env_config=EnvironmentConfig(),
        sandbox_timeout_sec=120,
        renew_interval_sec=60,
        prebuilt_template_id="base",
    )
    await environment.start(force_build=False)
    try:
        ran = await environment.exec("echo $((6 * 7)); echo said >&2; exit 3")
        assert (ran.return_code, ran.stdout.strip(), ran.stderr.strip()) == (3, "42", "said"), ran
        there = folder / "there"
        (there / "inner").mkdir(parents=True)
        (there / "inner" / "a.txt").write_text("kept")
        await environment.upload_dir(there, "/tmp/there")
        await environment.upload_file(there / "inner" / "a.txt", "/tmp/b.txt")
        read = await environment.exec("cat /tmp/there/inner/a.txt /tmp/b.txt", env={"LC_ALL": "C"}, cwd="/tmp")
        assert read.stdout == "keptkept", read
        back = folder / "back"
        await environment.download_dir("/tmp/there", back)
        assert (back / "inner" / "a.txt").read_text() == "kept"
        await environment.download_file("/tmp/b.txt", folder / "b.txt")
        assert (folder / "b.txt").read_text() == "kept"
    finally:
        await environment.stop(delete=True)


with tempfile.TemporaryDirectory() as name:
    asyncio.run(prebuilt(Path(name) / "prebuilt"))
    job(Path(name) / "job")
print("all done")
