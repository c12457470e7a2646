"""Harbor's environment on E2B: it runs commands and moves files in a template that is there, without an agent or a task."""

import asyncio
import tempfile
from pathlib import Path

from harbor.environments.e2b import E2BEnvironment
from harbor.models.task.config import EnvironmentConfig
from harbor.models.trial.paths import TrialPaths


async def main(folder: Path) -> None:
    definition = folder / "environment"
    definition.mkdir()
    (definition / "Dockerfile").write_text("FROM debian:12\n")
    trial = TrialPaths(folder / "trial")
    trial.mkdir()
    environment = E2BEnvironment(
        environment_dir=definition,
        environment_name="checked",
        session_id="checked__env",
        trial_paths=trial,
        task_env_config=EnvironmentConfig(),
        prebuilt_template_id="base",
        sandbox_timeout_sec=120,
        renew_interval_sec=60,
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
    asyncio.run(main(Path(name)))
print("all done")
