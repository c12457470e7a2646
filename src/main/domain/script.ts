/** What `domain on` and `off` do, as commands that a person can read, or run in their place. */
import { dirname } from 'node:path'
import type { DomainRecord } from './record.ts'

export function onScript({ changes, onCommands }: DomainRecord): string[] {
  const writes = changes.flatMap(({ path, text, from, aside, before, folders }) => {
    const lines = text.split('\n').slice(0, -1).map(quoted).join(' ')
    const folder = folders.length === 0 ? [] : [`  mkdir -p ${quoted(dirname(path))}`]
    if (from !== undefined) return [...folder, `  cp ${quoted(from)} ${quoted(path)}`]
    if (before === null) return [...folder, `  printf '%s\\n' ${lines} >${quoted(path)}`]
    const setAside = aside === undefined ? '' : ` | sed ${quoted(`s/^${aside.begin}/${aside.prefix}&/`)}`
    return [`  now=$(cat ${quoted(path)}${setAside}) && printf '%s\\n' ${lines} "$now" >${quoted(path)}`]
  })
  return [...writes, ...onCommands.map(commandLine)]
}

export function offScript({ changes, offCommands }: DomainRecord): string[] {
  const writes = changes.map(({ path, text, aside, before }) => {
    if (before === null) return `  rm ${quoted(path)}`
    const lines = text.split('\n').slice(0, -1)
    const [begin, end] = [lines[0]!.split(' (')[0]!, lines.at(-1)!].map(escaped)
    const back = aside === undefined ? '' : `; s/^${escaped(aside.prefix)}//`
    return `  sed -i --follow-symlinks ${quoted(`/^${begin} (/,/^${end}$/d${back}`)} ${quoted(path)}`
  })
  return [...writes, ...offCommands.map(commandLine)]
}

const escaped = (text: string) => text.replaceAll(/[/.]/g, '\\$&')
const commandLine = (command: string[]) => `  ${command.map(quoted).join(' ')}`

function quoted(word: string): string {
  return /^[\w@%+,./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
