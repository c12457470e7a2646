import { Sandbox } from '@e2b/code-interpreter'
import { sample, timed } from '../../src/bench/statistics.ts'
import { buildStock } from '../../tests/support/stock.ts'
import { docker, dockerRemove } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { megabyte, ms, type Report, rate, spread } from '../report.ts'
import { sandboxContainers } from '../sandbox-containers.ts'

const contextCount = 10

/** The code interpreter, beside Python and Jupyter's own client in a container of the same image. */
export const benchInterpreter: Group = async ({ server, report }) => {
  await buildStock(server, 'code-interpreter-v1')
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const [own = ''] = await sandboxContainers(server)
  const image = await docker('inspect', '--format', '{{.Image}}', own)
  await benchStart(image, report)
  const container = await docker(
    'run',
    '-d',
    '--cpus=2',
    '--memory=1g',
    '--entrypoint=sleep',
    image,
    'infinity',
  )
  const jupyter = JSON.parse(
    await docker('exec', container, '/opt/code-interpreter/venv/bin/python', '-c', jupyterAlone),
  ) as JupyterAlone
  await dockerRemove([container])

  const run = await sample(() => sandbox.runCode('1'), { count: 300, warmUp: 20 })
  report("runCode('1') | jupyter_client inside the container", spread(run), spread(jupyter.runs))
  const large = await sample(() => sandbox.runCode(`"x" * ${megabyte}`), { count: 20, warmUp: 2 })
  report('1 MB as a result | the same', rate(large, 1), rate(jupyter.large, 1))

  const made: string[] = []
  const contexts = await timed(async () => {
    for (let n = 0; n < contextCount; n++) made.push((await sandbox.createCodeContext()).id)
  })
  report(
    'contexts made one after the other | kernels started by jupyter_client',
    `${((contextCount * 1000) / contexts).toFixed(1)} a second`,
    `${((jupyter.kernels * 1000) / jupyter.kernelsMs).toFixed(1)} a second`,
  )
  for (const id of made) await sandbox.removeCodeContext(id)
  const pss = `cat /proc/[0-9]*/smaps_rollup | awk '/^Pss:/ { sum += $2 } END { print sum }'`
  const { stdout } = await sandbox.commands.run(pss, { user: 'root' })
  report(
    'memory of an idle interpreter | one ipykernel',
    `${(Number(stdout) / 1024).toFixed(0)} MB`,
    `${jupyter.kernelMb} MB`,
  )
  await sandbox.kill()
}

/** From nothing to the first result. */
async function benchStart(image: string, report: Report): Promise<void> {
  const created: number[] = []
  const first = await sample(
    async () => {
      const begun = performance.now()
      const sandbox = await Sandbox.create({ timeoutMs: 60_000 })
      created.push(performance.now() - begun)
      await sandbox.runCode('1')
      void sandbox.kill()
    },
    { count: 10, warmUp: 1 },
  )
  const theirs = await sample(
    async () => {
      const container = await docker(
        'run',
        '-d',
        '--cpus=2',
        '--memory=1g',
        '--entrypoint=sleep',
        image,
        'infinity',
      )
      await docker('exec', container, 'python3', '-c', '1')
      void dockerRemove([container])
    },
    { count: 10, warmUp: 1 },
  )
  report(
    'create → first result | docker run, docker exec python3 -c 1 (no kernel)',
    `${spread(first)}, of which create ${ms([...created].sort((a, b) => a - b)[5] ?? Number.NaN)}`,
    spread(theirs),
  )
}

/** Milliseconds, but for counts and memory. */
interface JupyterAlone {
  runs: number[]
  large: number[]
  kernels: number
  kernelsMs: number
  kernelMb: number
}

const jupyterAlone = `
import asyncio, json, time
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager

specs = KernelSpecManager(kernel_dirs=["/usr/local/share/jupyter/kernels"], ensure_native_kernel=False)

async def start():
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
    await manager.start_kernel(cwd="/home/user")
    client = manager.client()
    client.start_channels(stdin=False)
    await client.wait_for_ready(timeout=60)
    return manager, client

async def run(client, code):
    begun = time.perf_counter()
    await client.execute_interactive(code, output_hook=lambda message: None)
    return (time.perf_counter() - begun) * 1000

async def main():
    begun = time.perf_counter()
    kernels = [await start() for _ in range(3)]
    kernels_ms = (time.perf_counter() - begun) * 1000
    manager, client = kernels[0]
    for _ in range(20): await run(client, "1")
    runs = [await run(client, "1") for _ in range(300)]
    large = [await run(client, '"x" * ${megabyte}') for _ in range(20)]
    rollup = open(f"/proc/{manager.provisioner.pid}/smaps_rollup").read()
    kernel_mb = int(rollup.split("Pss:")[1].split()[0]) // 1024
    for each, _ in kernels: await each.shutdown_kernel(now=True)
    print(json.dumps({"runs": runs, "large": large, "kernels": 3, "kernelsMs": kernels_ms, "kernelMb": kernel_mb}))

asyncio.run(main())
`
