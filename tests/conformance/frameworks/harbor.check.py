"""Harbor's environment on E2B: in a template that is there, and in one that it builds from a Dockerfile; without an agent."""

import asyncio
import tempfile
from pathlib import Path

from harbor.environments.e2b import E2BEnvironment
from harbor.models.task.config import EnvironmentConfig
from harbor.models.trial.paths import TrialPaths


# The stock template under the name that E2B's SDKs have for its image, so that no registry is asked.
DOCKERFILE = """FROM e2bdev/base
WORKDIR /opt/task
COPY data.txt .
RUN echo built > mark
ENV TASK=checked
"""


def environment_in(folder: Path, **options) -> E2BEnvironment:
    definition = folder / "environment"
    definition.mkdir(parents=True)
    (definition / "Dockerfile").write_text(DOCKERFILE)
    (definition / "data.txt").write_text("data")
    trial = TrialPaths(folder / "trial")
    trial.mkdir()
    return E2BEnvironment(
        environment_dir=definition,
        environment_name="checked",
        session_id="checked__env",
        trial_paths=trial,
        task_env_config=EnvironmentConfig(),
        sandbox_timeout_sec=120,
        renew_interval_sec=60,
        **options,
    )


async def built(folder: Path) -> None:
    environment = environment_in(folder)
    await environment.start(force_build=False)
    try:
        ran = await environment.exec("pwd; cat data.txt mark; echo $TASK")
        assert ran.stdout.split() == ["/opt/task", "databuilt", "checked"], ran
    finally:
        await environment.stop(delete=True)


async def prebuilt(folder: Path) -> None:
    environment = environment_in(folder, prebuilt_template_id="base")
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
    asyncio.run(built(Path(name) / "built"))
print("all done")
