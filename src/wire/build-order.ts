/** E2B's build specification (e2b-wire 4.2) as what the server makes of it. */
import type { BuildOrder } from '../domain/build-order.ts'
import { ServerError } from '../domain/error.ts'
import type { RegistryCredentials } from '../domain/images.ts'
import type { BuildStep } from '../domain/template-builder.ts'
import type { BuildStepBody, RegistryBody, StartBuildBody } from './template.ts'

/** Most that Linux takes as one argument of a program, which a command becomes, in bytes. */
const commandMaxBytes = 128 * 1024 - 1
/** Longest of the other texts, in bytes */
const max = { image: 512, name: 256, path: 4096, variable: 256, value: 64 * 1024 }

/** Errors: `invalid_argument`, naming the field. */
export function parseBuildOrder(body: StartBuildBody): BuildOrder {
  return {
    from: parseFrom(body),
    steps: (body.steps ?? []).map((step, index) => parseStep(step, index + 1)),
    force: body.force ?? false,
    startCmd: parseCommand(body.startCmd, 'startCmd'),
    readyCmd: parseCommand(body.readyCmd, 'readyCmd'),
  }
}

function parseFrom({ fromImage, fromTemplate, fromImageRegistry }: StartBuildBody): BuildOrder['from'] {
  if (Boolean(fromImage) === Boolean(fromTemplate)) {
    throw invalid('A build begins with exactly one of fromImage and fromTemplate.')
  }
  if (!fromImage) {
    if (fromImageRegistry != null) throw invalid('fromImageRegistry goes with fromImage alone.')
    return { template: text(fromTemplate ?? '', 'fromTemplate', max.image) }
  }
  const image = text(fromImage, 'fromImage', max.image)
  if (!/^[\w[][\w.\-/:@[\]]*$/.test(image)) {
    throw invalid(`fromImage '${image.slice(0, 64)}' is not the name of an image.`)
  }
  return { image, credentials: fromImageRegistry == null ? null : parseRegistry(fromImageRegistry) }
}

function parseRegistry(registry: RegistryBody): RegistryCredentials {
  switch (registry.type) {
    case 'registry':
      return { type: 'registry', username: registry.username, password: registry.password }
    case 'aws':
      return {
        type: 'aws',
        accessKeyId: registry.awsAccessKeyId,
        secretAccessKey: registry.awsSecretAccessKey,
        region: registry.awsRegion,
      }
    case 'gcp':
      return { type: 'gcp', serviceAccountJson: registry.serviceAccountJson }
  }
}

/** `number`: as clients count, from 1 on. */
function parseStep({ type, args = [], filesHash, force = false }: BuildStepBody, number: number): BuildStep {
  const where = `Step ${number} (${type.slice(0, 32)})`
  const expectArgs = (least: number, most: number, what: string) => {
    if (args.length < least || args.length > most) throw invalid(`${where} takes ${what}.`)
  }
  const at = (index: number, maxBytes: number) => text(args[index] ?? '', where, maxBytes)
  const required = (index: number, maxBytes: number, what: string) => {
    const value = at(index, maxBytes)
    if (value === '') throw invalid(`${where} has no ${what}.`)
    return value
  }
  switch (type) {
    case 'RUN':
      expectArgs(1, 2, 'a command and a user')
      return { type, force, command: required(0, commandMaxBytes, 'command'), user: at(1, max.name) || null }
    case 'COPY':
    case 'ADD':
      expectArgs(2, 4, 'a source, a destination, a user and a mode')
      return {
        type: 'COPY',
        force,
        source: required(0, max.path, 'source'),
        destination: required(1, max.path, 'destination'),
        user: at(2, max.name) || null,
        mode: parseMode(at(3, max.name), where),
        filesHash: parseHash(filesHash, where),
      }
    case 'ENV':
    case 'ARG':
      return { type: 'ENV', force, pairs: parsePairs(args, where) }
    case 'WORKDIR':
      expectArgs(1, 1, 'a path')
      return { type, force, path: required(0, max.path, 'path') }
    case 'USER':
      expectArgs(1, 1, "a user's name")
      return { type, force, name: required(0, max.name, 'user') }
    default:
      throw invalid(`${where}: there is no such step. Steps are RUN, COPY, ENV, WORKDIR and USER.`)
  }
}

function parsePairs(args: readonly string[], where: string): [string, string][] {
  if (args.length === 0 || args.length % 2 !== 0) throw invalid(`${where} takes names and values by turns.`)
  const pairs: [string, string][] = []
  for (let index = 0; index < args.length; index += 2) {
    const name = text(args[index] ?? '', where, max.variable)
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
      throw invalid(`${where}: '${name.slice(0, 64)}' is not the name of a variable.`)
    }
    pairs.push([name, text(args[index + 1] ?? '', where, max.value)])
  }
  return pairs
}

/** As octal digits, or nothing. */
function parseMode(mode: string, where: string): number | null {
  if (mode === '') return null
  if (!/^0*[0-7]{1,4}$/.test(mode))
    throw invalid(`${where}: the mode '${mode.slice(0, 64)}' is not octal, as 0755.`)
  return Number.parseInt(mode, 8)
}

function parseHash(hash: string | null | undefined, where: string): string {
  if (hash != null && /^[0-9a-f]{64}$/.test(hash)) return hash
  throw invalid(`${where} needs the filesHash that its files were uploaded under: 64 lower-case hex digits.`)
}

function parseCommand(command: string | null | undefined, field: string): string | null {
  return command == null || command === '' ? null : text(command, field, commandMaxBytes)
}

function text(value: string, where: string, maxBytes: number): string {
  if (value.includes('\0')) throw invalid(`${where} has a NUL character.`)
  if (Buffer.byteLength(value) > maxBytes) throw invalid(`${where}: a text is longer than ${maxBytes} bytes.`)
  return value
}

function invalid(message: string): ServerError {
  return new ServerError('invalid_argument', message)
}
