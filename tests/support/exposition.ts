import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { pythonVersions } from './python.ts'

export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

export interface Family {
  /** Without `_total` */
  name: string
  type: string
  help: string
  samples: Sample[]
}

/** What Prometheus's own parser makes of a text, which it refuses where it isn't right. */
export async function readExposition(text: string): Promise<Family[]> {
  const python = join(import.meta.dirname, '../../build/python', pythonVersions[0]!, 'bin/python')
  const parser = spawn(python, [join(import.meta.dirname, 'exposition.py')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  parser.stdin.end(text)
  const [families, [code]] = await Promise.all([
    json(parser.stdout).catch(() => []) as Promise<Family[]>,
    once(parser, 'close'),
  ])
  if (code !== 0) throw new Error(`Prometheus's parser refuses it:\n${text}`)
  return families
}
