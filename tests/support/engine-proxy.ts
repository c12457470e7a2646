/** Docker's socket behind a socket of our own that can fail in the ways an engine does, without harming the real one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface EngineProxy extends AsyncDisposable {
  /** For DOCKER_HOST */
  readonly dockerHost: string
  /** As if the engine had died: open connections break, new ones are refused. */
  stop(): Promise<void>
  /** As if it hung: connections are accepted and nothing is answered. */
  hang(): void
  /** Back to normal. */
  resume(): Promise<void>
}

export async function startEngineProxy(engineSocket = '/var/run/docker.sock'): Promise<EngineProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-engine-proxy-'))
  const path = join(folder, 'docker.sock')
  const sockets = new Set<Socket>()
  let hanging = false
  let server = await listen()

  return {
    dockerHost: `unix://${path}`,
    async stop() {
      breakAll()
      await new Promise((resolve) => server.close(resolve))
    },
    hang() {
      hanging = true
      for (const socket of sockets) socket.pause().unpipe()
    },
    async resume() {
      hanging = false
      breakAll()
      if (!server.listening) server = await listen()
    },
    async [Symbol.asyncDispose]() {
      breakAll()
      server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }

  function breakAll() {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }

  function track(socket: Socket) {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  }

  async function listen(): Promise<Server> {
    rmSync(path, { force: true })
    const listening = createServer({ allowHalfOpen: true }, (client) => {
      track(client)
      if (hanging) return
      const engine = createConnection({ path: engineSocket, allowHalfOpen: true })
      track(engine)
      client.pipe(engine).pipe(client)
      client.on('close', () => engine.destroy())
      engine.on('close', () => client.destroy())
    })
    await new Promise<void>((resolve) => listening.listen(path, resolve))
    return listening
  }
}
