/** `mcp` of the SDKs: the gateway of the template `mcp-gateway`, asked by a real MCP client over HTTPS. */
import { join } from 'node:path'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCheck, startCheck } from '../../support/framework-checks.ts'
import { connectTo } from '../../support/mcp.ts'
import { pythonVersions } from '../../support/python.ts'
import { joinSharedServer, type SharedServer } from '../../support/shared-server.ts'

/** A server as people publish them in repositories: of no package, of Python's standard library alone. */
const ownServer = `import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message: continue
    if message["method"] == "initialize":
        result = {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "own", "version": "1"}}
    elif message["method"] == "tools/list":
        result = {"tools": [{"name": "list_directory", "inputSchema": {"type": "object"}}]}
    else:
        result = {"content": [{"type": "text", "text": os.environ["WORD"] + " " + open("installed").read().strip()}]}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
`

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const connect = (sandbox: Sandbox, token?: string) => connectTo(sandbox.getMcpUrl(), token)

test('tools of several servers are listed and called, by whoever has the token, also after a boot from files alone', {
  timeout: 180_000,
}, async () => {
  const mcp = { filesystem: { paths: ['/home/user'] }, memory: {}, time: {} }
  const sandbox = await Sandbox.create({ mcp, timeoutMs: 600_000 })
  try {
    const client = await connect(sandbox, await sandbox.getMcpToken())
    const names = (await client.listTools()).tools.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['write_file', 'create_entities', 'convert_time']))
    const file = { path: '/home/user/hello.txt', content: 'from MCP' }
    await client.callTool({ name: 'write_file', arguments: file })
    expect(await sandbox.files.read('hello.txt')).toBe('from MCP')
    // As the sandbox's user, within what the server was given.
    expect((await sandbox.files.getInfo('hello.txt')).owner).toBe('user')
    const outside = await client.callTool({
      name: 'read_text_file',
      arguments: { path: '/etc/passwd' },
    })
    expect(outside.isError).toBe(true)
    const unknown = client.callTool({ name: 'no_such_tool' })
    await expect(unknown).rejects.toThrow('There is no tool "no_such_tool".')

    // A server that is killed is there again for the next call.
    await sandbox.commands.run('pkill -f mcp-server-time')
    const time = { name: 'get_current_time', arguments: { timezone: 'UTC' } }
    await expect.poll(async () => (await client.callTool(time)).isError ?? false).toBe(false)
    await client.close()

    await expect(connect(sandbox, 'another')).rejects.toThrow('The token is missing or another')
    await expect(connect(sandbox)).rejects.toThrow('The token is missing or another')
    const token = await sandbox.getMcpToken()
    await sandbox.pause({ keepMemory: false })
    const again = await Sandbox.connect(sandbox.sandboxId)
    expect(await again.getMcpToken()).toBe(token)
    const clientAgain = await connect(again, token)
    const written = { name: 'read_text_file', arguments: { path: file.path } }
    expect((await clientAgain.callTool(written)).structuredContent).toEqual({ content: file.content })
    expect((await clientAgain.callTool(time)).isError ?? false).toBe(false)
    await clientAgain.close()
  } finally {
    await sandbox.kill()
  }
})

test('a server of a repository is cloned, installed and run; of two tools with one name both are there', {
  timeout: 180_000,
}, async () => {
  const sandbox = await Sandbox.create('mcp-gateway', { timeoutMs: 600_000 })
  try {
    // What GitHub would have, on the sandbox's own disk.
    await sandbox.files.write('/home/user/github/some/one.git/server.py', ownServer)
    const commit = 'git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -qm all'
    await sandbox.commands.run(commit, { cwd: '/home/user/github/some/one.git' })
    const rewrite = 'git config --system url.file:///home/user/github/.insteadOf https://github.com/'
    await sandbox.commands.run(rewrite, { user: 'root' })
    const config = {
      filesystem: { paths: ['/home/user'] },
      'github/some/one': {
        installCmd: 'echo yes > installed',
        runCmd: 'python3 server.py',
        envs: { WORD: 'installed:' },
      },
    }
    await sandbox.commands.run(`mcp-gateway --config '${JSON.stringify(config)}'`, {
      user: 'root',
      envs: { GATEWAY_ACCESS_TOKEN: 'of the test' },
    })
    const client = await connect(sandbox, 'of the test')
    const names = (await client.listTools()).tools.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['list_directory', 'github-some-one_list_directory']))
    const answer = await client.callTool({ name: 'github-some-one_list_directory' })
    expect(answer.content).toEqual([{ type: 'text', text: 'installed: yes' }])
    await client.close()
    const missing = `mcp-gateway --config '${JSON.stringify({ 'github/no/where': { runCmd: 'true' } })}'`
    await expect(sandbox.commands.run(missing, { user: 'root' })).rejects.toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('The MCP server "github/no/where" could not be installed'),
    })
  } finally {
    await sandbox.kill()
  }
})

test.each(['sync', 'async'])(
  'e2b (Python, %s): `mcp` of create, its URL and its token',
  {
    timeout: 120_000,
  },
  async (flavor) => {
    const script = join(import.meta.dirname, '../python/domain/mcp_of_create.py')
    await using check = startCheck(`python/${pythonVersions[0]}`, script, [flavor])
    const { url, token } = JSON.parse(await check.says())
    const client = await connectTo(url, token)
    const time = { name: 'get_current_time', arguments: { timezone: 'UTC' } }
    expect(JSON.stringify(await client.callTool(time))).toContain('UTC')
    await client.close()
    check.answer('opened')
    expect(await check.says()).toBe('all done')
  },
)

test('openai-agents: its sandbox with `mcp`, asked by its own MCP client', { timeout: 120_000 }, async () => {
  const folder = join(import.meta.dirname, '../frameworks/domain')
  expect(await runCheck(folder, 'openai-agents')).toMatch(/all done\n$/)
})

test('what cannot be had is named, and leaves no sandbox', { timeout: 120_000 }, async () => {
  const refused = (mcp: object) => expect(Sandbox.create({ mcp })).rejects
  await refused({ gmail: {} }).toThrow('The MCP server "gmail" isn\'t there')
  await refused({ filesystem: {} }).toThrow('The MCP server "filesystem" needs the setting "paths".')
  await refused({ time: { zone: 1 } }).toThrow('The MCP server "time" has no setting "zone" here.')
  await refused({ 'github/one': { runCmd: 'x' } }).toThrow('is not github/<owner>/<repository>')
})
