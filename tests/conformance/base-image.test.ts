import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

let server: SharedServer
let sandbox: Sandbox
beforeAll(async () => {
  server = await joinSharedServer()
  sandbox = await sdks[0]!.sdk.Sandbox.create({ timeoutMs: 600_000 })
})
afterAll(async () => {
  await sandbox?.kill()
  await server[Symbol.asyncDispose]()
})

/** What E2B's own `base` has, and what packages with native parts and install scripts ask for. */
const programs =
  'bash cc curl file g++ gh git gpg jq less lsof make nano node npm npx openssl patch pip pip3 pkg-config ps python ' +
  'python3 rg rsync ssh sqlite3 sudo tar tmux tree unzip vi wget xz yarn zip zstd'

test.each(['user', 'root'])('the programs that commands ask for are there, for %s', async (user) => {
  const { stdout } = await sandbox.commands.run(
    `for name in ${programs}; do command -v "$name" > /dev/null || echo "$name"; done`,
    { user },
  )
  expect(stdout).toBe('')
})

test('Node is 22 or newer, and npm and yarn run on it', async () => {
  const { stdout } = await sandbox.commands.run('node --version; npm --version; yarn --version')
  const [node, npm, yarn] = stdout.split('\n')
  expect(Number(node!.slice(1).split('.')[0])).toBeGreaterThanOrEqual(22)
  expect([npm, yarn]).toEqual([
    expect.stringMatching(/^\d+\.\d+\.\d+$/),
    expect.stringMatching(/^1\.\d+\.\d+$/),
  ])
})

test('a Node package with native parts builds without the internet', async () => {
  await sandbox.files.write([
    { path: 'addon/binding.gyp', data: '{"targets":[{"target_name":"addon","sources":["addon.c"]}]}' },
    { path: 'addon/addon.c', data: '#include <node_api.h>\nNAPI_MODULE_INIT() { return exports; }\n' },
    { path: 'addon/package.json', data: '{"name":"addon","version":"1.0.0"}' },
  ])
  const build = await sandbox.commands.run(
    'cd addon && npm install --offline --no-audit 2>&1 && node -e "console.log(typeof require(\'./build/Release/addon.node\'))"',
    { timeoutMs: 300_000 },
  )
  expect(build.stdout).toMatch(/object\n$/)
  expect(build.stdout).not.toContain('npm warn')
})

test('pip builds a C extension into the system’s Python, and into a venv', async () => {
  await sandbox.files.write([
    {
      path: 'ext/setup.py',
      data: 'from setuptools import setup, Extension\nsetup(name="ext", version="1.0", ext_modules=[Extension("ext", ["ext.c"])])\n',
    },
    {
      path: 'ext/ext.c',
      data: '#include <Python.h>\nstatic struct PyModuleDef m = { PyModuleDef_HEAD_INIT, "ext", 0, -1, 0 };\nPyMODINIT_FUNC PyInit_ext(void) { return PyModule_Create(&m); }\n',
    },
  ])
  const install = 'install --no-index --no-build-isolation -q ~/ext'
  await sandbox.commands.run(`pip ${install} && python3 -c "import ext"`, { timeoutMs: 300_000 })
  await sandbox.commands.run(
    `python3 -m venv --system-site-packages ~/venv && ~/venv/bin/pip ${install} && ~/venv/bin/python -c "import ext"`,
    { timeoutMs: 300_000 },
  )
})
