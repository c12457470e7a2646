/** The flags about what commands of builds and sandboxes are given to reach the world. */
import { resolve } from 'node:path'
import { z } from 'zod'

const envMax = { variables: 64, valueLength: 8 * 1024 }
const flag = '--build-env'

export const buildSchema = {
  /** For the commands of builds, and no part of what they build */
  buildEnv: z
    .array(z.string())
    .max(envMax.variables, `${flag} can be given ${envMax.variables} times`)
    .transform((lines, context) =>
      Object.fromEntries(
        lines.map((line) => {
          const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(line) ?? []
          const fault = faultOf(line, name, value)
          if (fault !== undefined) context.addIssue(`${flag} ${fault}`)
          return [name, value]
        }),
      ),
    ),
  /** File with the certificates of authorities that sandboxes are to trust */
  sandboxCa: z
    .string()
    .transform((path) => resolve(path))
    .optional(),
}

/** Never says a value: it may be a secret. */
function faultOf(line: string, name: string, value: string): string | undefined {
  if (!line.includes('=') && isName(line))
    return `${line}: the server has no such variable itself. Name it with its value: ${line}=…`
  if (!isName(name)) return 'must be NAME=VALUE, or the NAME of a variable that the server has'
  if (value.length > envMax.valueLength)
    return `${name}: its value is longer than ${envMax.valueLength} characters`
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) return `${name}: its value has control characters`
  return undefined
}

const isName = (text: string) => /^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(text)

/** One variable a line; those that are only named have the value that `env` gives them. */
export function buildEnvLines(text: string | boolean | undefined, env: NodeJS.ProcessEnv): string[] {
  const lines = String(text ?? '')
    .split('\n')
    .filter((line) => line.trim() !== '')
  return lines.map((line) => {
    const own = line.includes('=') ? undefined : env[line]
    return own === undefined ? line : `${line}=${own}`
  })
}
