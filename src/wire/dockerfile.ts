/** Dockerfiles as E2B's clients read them (e2b-wire 4.2): one stage, whose steps begin as root in `/`. */
import { type Dockerfile, DockerfileParser, type Instruction, type PropertyInstruction } from 'dockerfile-ast'
import { ServerError } from '../domain/error.ts'
import type { BuildStepBody, StartBuildBody } from './template.ts'

/** Where its steps stand that end with none of these. */
const defaults = { user: 'user', workdir: '/home/user' }

/** What the build is made of; its COPY steps have no `filesHash` yet. Errors: `invalid_argument`, naming the instruction. */
export function readDockerfile(text: string): StartBuildBody & { steps: BuildStepBody[] } {
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
  }
  const has = (type: string) => instructions.some((each) => each.getKeyword() === type)
  if (!has('USER')) steps.push({ type: 'USER', args: [defaults.user] })
  if (!has('WORKDIR')) steps.push({ type: 'WORKDIR', args: [defaults.workdir] })
  return { fromImage, steps, startCmd }
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
      return [{ type: 'RUN', args: [args.join(' ')] }]
    case 'WORKDIR':
    case 'USER':
      return [{ type: keyword, args: args.slice(0, 1) }]
    case 'ENV':
    case 'ARG':
      return [{ type: 'ENV', args: variablesOf(instruction as PropertyInstruction) }]
    case 'COPY':
    case 'ADD':
      return copiesOf(instruction, args)
    default:
      throw invalid(`The Dockerfile has ${keyword}, which templates don't have.`)
  }
}

function variablesOf(instruction: PropertyInstruction): string[] {
  return instruction.getProperties().flatMap((each) => [each.getName(), each.getValue() ?? ''])
}

function copiesOf(instruction: Instruction, args: readonly string[]): BuildStepBody[] {
  const destination = args.at(-1)
  if (args.length < 2 || destination === undefined) throw invalid('A COPY has a source and a destination.')
  let user = ''
  let mode = ''
  for (const flag of flagsOf(instruction)) {
    if (flag.name === 'chown') user = flag.value
    else if (flag.name === 'chmod') mode = flag.value
    else throw invalid(`COPY --${flag.name} is not supported.`)
  }
  return args.slice(0, -1).map((source) => {
    if (/^https?:/.test(source)) throw invalid('ADD of an address is not supported: fetch it by RUN.')
    return { type: 'COPY', args: [source, destination, user, mode] }
  })
}

function flagsOf(instruction: Instruction): { name: string; value: string }[] {
  if (!('getFlags' in instruction)) return []
  const flags = (instruction as { getFlags(): { getName(): string; getValue(): string | null }[] }).getFlags()
  return flags.map((flag) => ({ name: flag.getName(), value: flag.getValue() ?? '' }))
}

/** Of either form; that of a list becomes words of a shell. */
function commandOf(instruction: Instruction): string {
  const text = instruction
    .getArguments()
    .map((each) => each.getValue())
    .join(' ')
  try {
    const words: unknown = JSON.parse(text)
    if (Array.isArray(words)) return words.map((word) => quoted(String(word))).join(' ')
  } catch {
    // The other form.
  }
  return text
}

function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

function invalid(message: string): ServerError {
  return new ServerError('invalid_argument', message)
}
