/** Names of variables whose values nobody is to read in a log */
const secretName = /token|secret|passw|credential|auth|api_?key|private_?key/i
/** What is shorter stands in too many lines that have nothing to do with it. */
const minLength = 4
const shown = '***'

/**
 * Hides what a command's output may show of its variables by accident: values of those that are named like a secret, and
 * passwords of URLs. Who runs commands with them can read them all the same.
 */
export function createMask(env: Readonly<Record<string, string>>): (line: string) => string {
  const secrets = Object.entries(env).flatMap(([name, value]) =>
    secretName.test(name) ? [value] : passwordsIn(value),
  )
  // The longest first: one may be a part of another.
  const hidden = [...new Set(secrets)]
    .filter(({ length }) => length >= minLength)
    .sort((one, other) => other.length - one.length)
  return (line) => hidden.reduce((text, secret) => text.replaceAll(secret, shown), line)
}

/** Of each URL, as it is written and as it is meant. */
function passwordsIn(value: string): string[] {
  return [...value.matchAll(/:\/\/([^/\s@:]*):?([^/\s@]*)@/g)].flatMap(([, user = '', password = '']) => {
    // A token alone stands in the user's place.
    const secret = password === '' ? user : password
    try {
      return [secret, decodeURIComponent(secret)]
    } catch {
      return [secret]
    }
  })
}
