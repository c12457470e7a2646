/** Dockerfiles as E2B's clients read them (e2b-wire 4.2): one stage, whose steps begin as root in `/`. */
import {
  type Dockerfile,
  DockerfileParser,
  type Instruction,
  type JSONInstruction,
  type PropertyInstruction,
} from 'dockerfile-ast'
import { ServerError } from '../domain/error.ts'
import type { BuildStepBody, StartBuildBody } from './template.ts'

/** Where its steps stand that end with none of these. */
const defaults = { user: 'user', workdir: '/home/user' }
/** What the parser is let read: its time grows with each of them, and it takes the thread until it is done. */
const max = { bytes: 64 * 1024, lines: 2000, words: 8000, steps: 1000 }

/** What the build is made of; its COPY steps have no `filesHash` yet. Errors: `invalid_argument`, naming the instruction. */
export function readDockerfile(text: string): StartBuildBody & { steps: BuildStepBody[] } {
  checkBounds(text)
  const file: Dockerfile = DockerfileParser.parse(text)
  const instructions = file.getInstructions()
  const stages = instructions.filter((each) => each.getKeyword() === 'FROM')
  const fromImage = stages[0]?.getArguments()[0]?.getValue()
  if (fromImage === undefined) throw invalid('The Dockerfile has no FROM.')
  if (stages.length > 1) throw invalid('The Dockerfile has several stages, and can have one.')
  const steps: BuildStepBody[] = [
    { type: 'USER', args: ['root'] },
    { type: 'WORKDIR', args: ['/'] },
  ]
  let startCmd: string | null = null
  for (const instruction of instructions) {
    const keyword = instruction.getKeyword()
    if (keyword === 'CMD' || keyword === 'ENTRYPOINT') startCmd = commandOf(instruction)
    else steps.push(...stepsOf(instruction, keyword))
    if (steps.length > max.steps) throw invalid(`The Dockerfile has more than ${max.steps} steps.`)
  }
  const has = (type: string) => instructions.some((each) => each.getKeyword() === type)
  if (!has('USER')) steps.push({ type: 'USER', args: [defaults.user] })
  if (!has('WORKDIR')) steps.push({ type: 'WORKDIR', args: [defaults.workdir] })
  return { fromImage, steps, startCmd }
}

function checkBounds(text: string): void {
  if (Buffer.byteLength(text) > max.bytes) throw invalid(`The Dockerfile is longer than ${max.bytes} bytes.`)
  let lines = 1
  let words = 0
  let isInWord = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (character === '\n') lines++
    const isBlank = character === ' ' || character === '\t' || character === '\n' || character === '\r'
    if (!isBlank && !isInWord) words++
    isInWord = !isBlank
  }
  if (lines > max.lines) throw invalid(`The Dockerfile has more than ${max.lines} lines.`)
  if (words > max.words) throw invalid(`The Dockerfile has more than ${max.words} words.`)
}

function stepsOf(instruction: Instruction, keyword: string): BuildStepBody[] {
  const args = instruction.getArguments().map((each) => each.getValue())
  switch (keyword) {
    case 'FROM':
    case 'EXPOSE':
    case 'VOLUME':
    case 'LABEL':
    case 'MAINTAINER':
    case 'STOPSIGNAL':
      return []
    case 'RUN':
      return [{ type: 'RUN', args: [runOf(instruction)] }]
    case 'WORKDIR':
    case 'USER':
      return [{ type: keyword, args: args.slice(0, 1) }]
    case 'ENV':
    case 'ARG':
      return [{ type: 'ENV', args: variablesOf(instruction as PropertyInstruction) }]
    case 'COPY':
    case 'ADD':
      return copiesOf(instruction, keyword)
    default:
      throw invalid(`The Dockerfile has ${keyword.slice(0, 32)}, which templates don't have.`)
  }
}

/** A mount of a cache changes how long a command takes, not what comes of it; the other flags change that. */
function runOf(instruction: Instruction): string {
  for (const { name, value } of flagsOf(instruction)) {
    if (name === 'mount' && value.split(',').includes('type=cache')) continue
    throw invalid(`RUN --${name.slice(0, 32)} is not supported.`)
  }
  return scriptOf(instruction) ?? commandOf(instruction)
}

/** Of a RUN that is nothing but a here-document, which is then the script. */
function scriptOf(instruction: Instruction): string | null {
  const lines = (instruction.getArgumentsContent() ?? '').split('\n')
  const [, dash, , delimiter] = /^<<(-?)(["']?)(\w+)\2\s*$/.exec(lines[0] ?? '') ?? []
  if (delimiter === undefined) return null
  const script = lines.slice(1, lines.at(-1)?.trim() === delimiter ? -1 : undefined)
  return script.map((line) => (dash === '-' ? line.replace(/^\t+/, '') : line)).join('\n')
}

function variablesOf(instruction: PropertyInstruction): string[] {
  return instruction.getProperties().flatMap((each) => [each.getName(), each.getValue() ?? ''])
}

function copiesOf(instruction: Instruction, keyword: string): BuildStepBody[] {
  const args = listOf(instruction) ?? instruction.getArguments().map((each) => each.getValue())
  const destination = args.at(-1)
  if (args.length < 2 || destination === undefined) {
    throw invalid(`${keyword} has a source and a destination.`)
  }
  let user = ''
  let mode = ''
  for (const flag of flagsOf(instruction)) {
    if (flag.name === 'chown') user = flag.value
    else if (flag.name === 'chmod') mode = flag.value
    else throw invalid(`${keyword} --${flag.name.slice(0, 32)} is not supported.`)
  }
  return args.slice(0, -1).map((source) => {
    if (/^[a-z]+:\/\/|^git@/.test(source)) {
      throw invalid(`${keyword} of an address is not supported: fetch it by RUN.`)
    }
    if (source.startsWith('<<')) {
      throw invalid(`${keyword} of a here-document is not supported: write it by RUN.`)
    }
    return { type: 'COPY', args: [source, destination, user, mode] }
  })
}

function flagsOf(instruction: Instruction): { name: string; value: string }[] {
  if (!('getFlags' in instruction)) return []
  const flags = (instruction as JSONInstruction).getFlags()
  return flags.map((flag) => ({ name: flag.getName(), value: flag.getValue() ?? '' }))
}

/** Of either form; that of a list becomes words of a shell. */
function commandOf(instruction: Instruction): string {
  const words = listOf(instruction)
  return words === null ? (instruction.getArgumentsContent() ?? '') : words.map(quoted).join(' ')
}

/** Arguments that are written as a list of JSON; null: they aren't. */
function listOf(instruction: Instruction): string[] | null {
  const text = instruction.getArgumentsContent() ?? ''
  if (!text.startsWith('[')) return null
  try {
    const words: unknown = JSON.parse(text)
    return Array.isArray(words) ? words.map(String) : null
  } catch {
    return null
  }
}

function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

function invalid(message: string): ServerError {
  return new ServerError('invalid_argument', message)
}
