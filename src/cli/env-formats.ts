/** The variables of `env` in the languages of those who read them. Null: one that must not be set. */
type Variables = Record<string, string | null>
type Format = (variables: Variables) => string[]

/** By the name that `--format` takes. */
export const envFormats: Record<string, Format> = {
  sh: lines(
    (name, value) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`,
    (name) => `unset ${name}`,
  ),
  fish: lines(
    (name, value) => `set -gx ${name} '${value.replaceAll(/['\\]/g, '\\$&')}'`,
    (name) => `set -e ${name}`,
  ),
  // Typographic quotes end a string there, too.
  powershell: lines(
    (name, value) => `$Env:${name} = '${value.replaceAll(/['\u2018\u2019\u201a\u201b]/g, '$&$&')}'`,
    (name) => `Remove-Item -ErrorAction SilentlyContinue Env:${name}`,
  ),
  dotenv: lines(
    (name, value) => `${name}=${dotenvValue(value)}`,
    (name) => `# ${name} must not be set.`,
  ),
  json: (variables) => [JSON.stringify(variables, null, 2)],
}

function lines(set: (name: string, value: string) => string, unset: (name: string) => string): Format {
  return (variables) =>
    Object.entries(variables).map(([name, value]) => (value === null ? unset(name) : set(name, value)))
}

/** Bare where every reader agrees, as Docker's `--env-file` takes quotes for part of the value. */
function dotenvValue(value: string): string {
  if (/^[\w@%+,./:=-]*$/.test(value)) return value
  return value.includes("'") ? `"${value.replaceAll(/["\\$]/g, '\\$&')}"` : `'${value}'`
}
