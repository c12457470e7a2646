import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Credentials } from '../src/domain/credentials.ts'
import { onCores } from './cpus.ts'

export interface Nginx extends AsyncDisposable {
  plainPort: number
  tlsPort: number
}

/**
 * nginx without TLS in front of one `host:port` and with it in front of another. `cpus`: the cores it runs on; undefined:
 * all.
 */
export async function startNginx(
  upstreams: { plain: string; tls: string },
  {
    credentials: { cert, key },
    workers,
    cpus,
  }: { credentials: Credentials; workers: number; cpus: string | undefined },
): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-nginx-'))
  const [plainPort, tlsPort] = [await freePort(), await freePort()]
  writeFileSync(join(folder, 'cert.pem'), cert)
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 })
  const server = (upstream: string) => `keepalive_requests 1000000; location / {
        proxy_pass http://${upstream}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_buffering off; } }`
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; worker_processes ${workers}; pid ${folder}/pid; error_log ${folder}/error.log crit;
    events { worker_connections 4096; }
    http { access_log off; client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
      uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
      upstream plain { server ${upstreams.plain}; keepalive 256; keepalive_requests 1000000; }
      upstream tls { server ${upstreams.tls}; keepalive 256; keepalive_requests 1000000; }
      server { listen 127.0.0.1:${plainPort}; ${server('plain')}
      server { listen 127.0.0.1:${tlsPort} ssl http2; http2_max_concurrent_streams 4096;
        ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem; ${server('tls')} }`,
  )
  const command = onCores(cpus, ['nginx', '-c', join(folder, 'nginx.conf'), '-p', folder])
  const child = spawn(command[0], command.slice(1), {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })
  return {
    plainPort,
    tlsPort,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'close')
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}
