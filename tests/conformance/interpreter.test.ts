/** The code interpreter's template, driven by the published SDKs: what a program writes is what it gets. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as newest from '@e2b/code-interpreter'
import { Template, waitForURL } from 'e2b'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { interpreterSdks } from '../support/interpreter-sdks.ts'
import { pythonVersions } from '../support/python.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

type Sandbox = newest.Sandbox

const timeout = 180_000

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

// Of the newest release: those before it know no `E2B_SANDBOX_URL`.
describe.each(['sync', 'async'])('e2b-code-interpreter (Python, %s)', (flavor) => {
  const [version = ''] = pythonVersions

  test(`beside e2b ${version}: its own tests pass`, { timeout: 300_000 }, async () => {
    const folder = join(import.meta.dirname, 'python')
    const temporary = mkdtempSync(join(tmpdir(), 'e2b-pytest-'))
    const report = join(temporary, 'report')
    const python = join(import.meta.dirname, '../../build/python', version, 'bin/python')
    const args = ['-m', 'pytest', '-q', '--tb=short', '--no-header', 'interpreter']
    const env = { E2B_TEST_REPORT: report, E2B_TEST_FLAVOR: flavor, PYTHONDONTWRITEBYTECODE: '1' }
    const { stdout } = await promisify(execFile)(python, args, {
      cwd: folder,
      env: { ...process.env, ...env },
    }).catch((error) => error as { stdout: string })
    rmSync(temporary, { recursive: true })
    expect(stdout).toMatch(/^13 passed/m)
  })
})

test('a template from E2B’s image, started as there', { timeout }, async () => {
  const name = `interpreter-${randomUUID().slice(0, 8)}`
  const template = Template()
    .fromImage('e2bdev/code-interpreter:latest')
    .runCmd('echo "WORD = 42" | sudo tee /usr/local/lib/python3.11/dist-packages/own_word.py')
    .setStartCmd('/root/.jupyter/start-up.sh', waitForURL('http://localhost:49999/health'))
  const { templateId } = await Template.build(template, name, { cpuCount: 1, memoryMB: 1024 })
  const sandbox = await newest.Sandbox.create(name, { timeoutMs: 120_000 })
  expect((await sandbox.runCode('import own_word; own_word.WORD')).text).toBe('42')
  await sandbox.kill()
  const { ok } = await fetch(`${server.url}/templates/${templateId}`, {
    method: 'DELETE',
    headers: { 'x-api-key': server.apiKey },
  })
  expect(ok).toBe(true)
})

describe.each(interpreterSdks)('@e2b/code-interpreter $version', { timeout }, ({ sdk }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ envs: { GLOBAL: 'of the sandbox' }, timeoutMs: 600_000 })
  }, timeout)
  afterAll(() => sandbox.kill())

  /** What a context's code prints, in one piece. */
  const printed = async (code: string, options: newest.RunCodeOpts & { language?: string } = {}) => {
    const { logs, error } = await sandbox.runCode(code, options)
    expect(error).toBeUndefined()
    return logs.stdout.join('')
  }

  test('results, output and errors, and callbacks for each', async () => {
    const seen: unknown[] = []
    const execution = await sandbox.runCode(
      'import sys; print("out"); print("err", file=sys.stderr); "text"',
      {
        onStdout: ({ line, error }) => void seen.push(line, error),
        onStderr: ({ line, error }) => void seen.push(line, error),
        onResult: ({ text, isMainResult }) => void seen.push(text, isMainResult),
      },
    )
    expect(execution.text).toBe('text')
    expect(execution.logs).toEqual({ stdout: ['out\n'], stderr: ['err\n'] })
    expect(seen.toSorted()).toEqual(['out\n', false, 'err\n', true, 'text', true].toSorted())
    const errors: string[] = []
    const failed = await sandbox.runCode('def f():\n  return 1/0\nf()', {
      onError: ({ name }) => void errors.push(name),
    })
    expect(failed.error).toMatchObject({ name: 'ZeroDivisionError', value: 'division by zero' })
    expect(failed.error?.traceback).toMatch(
      /^-+ZeroDivisionError +Traceback[\s\S]*in f\(\)[\s\S]*ZeroDivisionError/,
    )
    expect(errors).toEqual(['ZeroDivisionError'])
    expect((await sandbox.runCode('x +')).error?.name).toBe('SyntaxError')
    const [first, second] = [await sandbox.runCode('1'), await sandbox.runCode('2')]
    expect(second.executionCount).toBe((first.executionCount ?? 0) + 1)
  })

  test('output comes while the code runs', async () => {
    const release = `/tmp/release-${Math.random()}`
    const code = `import os, time\nprint("first")\nwhile not os.path.exists("${release}"): time.sleep(0.05)\nprint("second")`
    const execution = await sandbox.runCode(code, {
      onStdout: async ({ line }) => {
        // A line's end may come as a message of its own.
        if (line.startsWith('first')) await sandbox.files.write(release, '')
      },
    })
    expect(execution.logs.stdout.join('')).toBe('first\nsecond\n')
  })

  test('contexts: state, directory, list, restart, removal', async () => {
    const context = await sandbox.createCodeContext({ cwd: '/root' })
    expect(context).toMatchObject({ language: 'python', cwd: '/root' })
    const others = await sandbox.listCodeContexts()
    expect(others.slice(0, 2)).toMatchObject([
      { language: 'python', cwd: '/home/user' },
      { language: 'javascript', cwd: '/home/user' },
    ])
    expect(others.at(-1)).toEqual(context)
    await sandbox.runCode('x = 1')
    expect((await sandbox.runCode('x', { context })).error?.value).toBe("name 'x' is not defined")
    expect((await sandbox.runCode('y = 2; import os; os.getcwd()', { context })).text).toBe('/root')
    expect((await sandbox.runCode('y', { context })).text).toBe('2')
    await sandbox.restartCodeContext(context)
    expect((await sandbox.runCode('y', { context })).error?.name).toBe('NameError')
    await sandbox.removeCodeContext(context)
    await expect(sandbox.runCode('1', { context })).rejects.toThrow(`Context ${context.id} not found`)
    expect(await sandbox.listCodeContexts()).not.toContainEqual(context)
  })

  test('what is asked wrongly is answered in plain words', async () => {
    const context = (await sandbox.listCodeContexts())[0]
    await expect(sandbox.runCode('1', { context, language: 'python' } as object)).rejects.toThrow()
    await expect(sandbox.runCode('1', { language: 'cobol' })).rejects.toThrow(/^500/)
    await expect(sandbox.createCodeContext({ language: 'cobol' })).rejects.toThrow(/^500/)
    await expect(sandbox.createCodeContext({ cwd: '/nowhere' })).rejects.toThrow(/^500/)
    await expect(sandbox.removeCodeContext('nobody')).rejects.toThrow('Context nobody not found')
    await expect(sandbox.restartCodeContext('nobody')).rejects.toThrow('Context nobody not found')
    await expect(sandbox.runCode('1', { envs: { 'no name': 'x' } })).rejects.toThrow(/422/)
  })

  test('variables: of the sandbox, and of one execution', async () => {
    const read = { python: 'import os; print(os.getenv("GLOBAL"), os.getenv("OWN"))' }
    const quoted = `it's "quoted" \\ $HOME\nsecond line é`
    expect(await printed(read.python, { envs: { OWN: quoted, GLOBAL: 'other' } })).toBe(`other ${quoted}\n`)
    expect(await printed(read.python)).toBe('of the sandbox None\n')
    const js = 'console.log(process.env.GLOBAL, process.env.OWN)'
    expect(await printed(js, { language: 'js', envs: { OWN: quoted } })).toBe(`of the sandbox ${quoted}\n`)
    expect(await printed(js, { language: 'js' })).toBe('of the sandbox undefined\n')
    const sh = 'printf "%s|%s" "$GLOBAL" "$OWN"'
    expect(await printed(sh, { language: 'bash', envs: { OWN: "it's" } })).toMatch(
      /^of the sandbox\|it's\s*$/,
    )
    expect(await printed(sh, { language: 'bash' })).toMatch(/^of the sandbox\|\s*$/)
  })

  test('JavaScript: output, imports, top-level await, types', async () => {
    expect(await printed('for (const i of [1, 2]) console.log(i)', { language: 'js' })).toBe('1\n2\n')
    expect(await printed('process.stdout.write("no console")', { language: 'js' })).toBe('no console')
    expect(
      await printed(`import { readFileSync } from 'fs'\nconsole.log(typeof readFileSync)`, {
        language: 'js',
      }),
    ).toBe('function\n')
    expect((await sandbox.runCode("await Promise.resolve('later')", { language: 'javascript' })).text).toBe(
      'later',
    )
    expect((await sandbox.runCode("require('path').sep + process.cwd()", { language: 'JS' })).text).toBe(
      '//home/user',
    )
    expect(await printed('const m: string = "typed"; console.log(m)', { language: 'ts' })).toBe('typed\n')
    const { error } = await sandbox.runCode('throw new TypeError("no")', { language: 'js' })
    expect(error).toMatchObject({ name: 'TypeError', value: 'no' })
  })

  test('Bash, R and Java', async () => {
    expect(await printed('cd /tmp; pwd', { language: 'bash' })).toBe('/tmp\n')
    expect((await sandbox.runCode('sum(1:4)', { language: 'r' })).results[0]?.text).toBe('[1] 10')
    expect((await sandbox.runCode('getwd()', { language: 'r' })).results[0]?.text).toBe('[1] "/home/user"')
    const java = await sandbox.runCode('int n = 6; System.out.println(n); n * 7', { language: 'java' })
    expect(java.logs.stdout).toEqual(['6\n'])
    expect(java.text).toBe('42')
    const property = 'System.getProperty("GLOBAL") + System.getProperty("OWN")'
    expect((await sandbox.runCode(property, { language: 'java', envs: { OWN: '!' } })).text).toBe(
      'of the sandbox!',
    )
    for (const { id, language } of await sandbox.listCodeContexts())
      if (['java', 'r', 'bash'].includes(language)) await sandbox.removeCodeContext(id)
  })

  test('twenty executions at once in one context run one after another', async () => {
    await sandbox.runCode('import time; inside = most = 0')
    const code = (n: number) =>
      `inside += 1; most = max(most, inside); time.sleep(0.01); inside -= 1; print(${n}); (${n}, most)`
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => sandbox.runCode(code(n))))
    expect(all.map(({ text }) => text)).toEqual(Array.from({ length: 20 }, (_, n) => `(${n}, 1)`))
    expect(all.map(({ logs }) => logs.stdout.join(''))).toEqual(
      Array.from({ length: 20 }, (_, n) => `${n}\n`),
    )
  })

  test('megabytes of output arrive whole', async () => {
    const execution = await sandbox.runCode('for i in range(200_000): print(f"{i:09}")\n"x" * 5_000_000')
    const lines = execution.logs.stdout.join('').split('\n')
    expect(lines).toHaveLength(200_001)
    expect(lines.at(-2)).toBe('000199999')
    expect(execution.text).toHaveLength(5_000_000)
  })

  test('a client that never reads holds up its own context alone, and costs no memory', async () => {
    const context = await sandbox.createCodeContext()
    let read = () => {}
    const reading = new Promise<void>((resolve) => (read = resolve))
    const endless = sandbox.runCode('while True: print("x" * 1000)', {
      context,
      timeoutMs: 0,
      onStdout: () => reading,
    })
    const busiest = async () => {
      const ps = 'ps -eo times,rss,args | grep [l]aunch.py | sort -rn | head -1'
      const { stdout } = await sandbox.commands.run(ps, { user: 'root' })
      return stdout.trim().split(/\s+/).map(Number) as [number, number]
    }
    let before = -1
    await vi.waitFor(
      async () => {
        const [seconds] = await busiest()
        const hasStopped = seconds === before
        before = seconds
        expect(hasStopped).toBe(true)
      },
      { timeout: 60_000, interval: 2_500 },
    )
    expect((await busiest())[1]).toBeLessThan(300 * 1024)
    const { stdout: inside } = await sandbox.commands.run(`ps -o rss= -p $(pgrep -f '[u]vicorn main:app')`, {
      user: 'root',
    })
    expect(Number(inside)).toBeLessThan(200 * 1024)
    expect((await sandbox.runCode('1 + 1')).text).toBe('2')
    await sandbox.removeCodeContext(context)
    read()
    expect((await endless).error?.name).toBe('UnexpectedEndOfExecution')
  })

  test('code whose client has left is interrupted, and the state stays', async () => {
    await sandbox.runCode('kept = 7')
    const code = 'import time\nwhile True:\n  try: time.sleep(300)\n  except ZeroDivisionError: pass'
    await expect(sandbox.runCode(code, { timeoutMs: 1_000 })).rejects.toThrow(/timed out/i)
    expect((await sandbox.runCode('kept')).text).toBe('7')
  })

  test.each(['jupyter server', 'uvicorn main:app'])(
    '"%s" killed: it is back, and runs code',
    async (name) => {
      const { stdout } = await sandbox.commands.run(`pgrep -f '[${name[0]}]${name.slice(1)}'`, {
        user: 'root',
      })
      expect(stdout).toMatch(/^\d+\n$/)
      await sandbox.commands.run(`kill -9 ${stdout.trim()}`, { user: 'root' })
      await vi.waitFor(async () => expect((await sandbox.runCode('40 + 2')).text).toBe('42'), {
        timeout: 60_000,
        interval: 200,
      })
    },
  )

  test('a kernel that ends says so, and the next execution finds another', async () => {
    const { error } = await sandbox.runCode('import os, signal; os.kill(os.getpid(), signal.SIGKILL)')
    expect(error).toMatchObject({ name: 'ContextRestarting', value: 'Context was restarted' })
    expect((await sandbox.runCode('1 + 1')).text).toBe('2')
  })

  test('code that closes its output harms nothing that comes after it', async () => {
    await sandbox.runCode('import sys, os; sys.stdout.close(); sys.stderr.close(); os.close(1); os.close(2)')
    expect(await printed('print("still here")')).toBe('still here\n')
  })

  test('a sandbox that is killed ends what runs in it', async () => {
    const other = await sdk.Sandbox.create({ timeoutMs: 60_000 })
    let begin = () => {}
    const running = new Promise<void>((resolve) => (begin = resolve))
    const execution = other.runCode('import time; print("runs", flush=True); time.sleep(300)', {
      timeoutMs: 120_000,
      onStdout: () => begin(),
    })
    const ended = expect(execution).rejects.toThrow()
    await running
    await other.kill()
    await ended
  })
})
