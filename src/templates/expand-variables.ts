/** Longest text that expansion makes of a value, in characters. */
export const expandedMaxLength = 128 * 1024

const reference =
  /\\\$|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\}|\{([A-Za-z_][A-Za-z0-9_]*):([-+])([^}]*)\})/g

/**
 * A value as a shell has it between double quotes: `$NAME`, `${NAME}`, `${NAME:-else}`, `${NAME:+then}` and `\$`; what is
 * none of these stays as it is, commands are not run. Names that stand for nothing become nothing. Undefined where more
 * than `expandedMaxLength` characters would come out.
 */
export function expandVariables(text: string, env: Readonly<Record<string, string>>): string | undefined {
  const look = (name: string) => (Object.hasOwn(env, name) ? (env[name] ?? '') : '')
  let expanded = ''
  let at = 0
  for (const match of text.matchAll(reference)) {
    const [whole, bare, braced, conditional = '', sign, word = ''] = match
    expanded += text.slice(at, match.index)
    at = match.index + whole.length
    if (whole === '\\$') expanded += '$'
    else if (bare !== undefined || braced !== undefined) expanded += look(bare ?? braced ?? '')
    else if (sign === '-') expanded += look(conditional) || word
    else if (look(conditional) !== '') expanded += word
    if (expanded.length > expandedMaxLength) return undefined
  }
  expanded += text.slice(at)
  return expanded.length > expandedMaxLength ? undefined : expanded
}
