from datetime import datetime, timedelta, timezone

from pytest import mark


@mark.proves("Sandbox.getMetrics", "sandbox.getMetrics")
async def test_metrics(flavor, eventually):
    """metrics come within seconds of the start, and only for the time that is asked for"""
    sandbox = await flavor.Sandbox.create()

    async def sampled():
        return await sandbox.get_metrics()

    metrics = await eventually(sampled, timeout=30)
    assert metrics[0].cpu_count == 2
    assert metrics[0].mem_total == 512 * 2**20
    assert 0 < metrics[0].disk_used < metrics[0].disk_total
    assert len(await flavor.Sandbox.get_metrics(sandbox.sandbox_id)) > 0
    now = datetime.now(timezone.utc)
    hour = timedelta(hours=1)
    assert await sandbox.get_metrics(start=now - 2 * hour, end=now - hour) == []
    await sandbox.kill()
