/**
 * From what the SDKs write to what is run. The catalog has for each server the package it is published as, its program with
 * arguments and environment, in which `{key}` stands for a value of the configuration, and `takes`: keys that concern the
 * container E2B runs it in, and mean nothing here.
 */
const serversMax = 50
const installRoot = '/opt/mcp-gateway/servers'

/**
 * What a configuration asks for, in its order. Throws an `Error` that names what is wrong with it.
 *
 * @returns {{ name: string, folder: string, npm?: string, pypi?: string, repository?: string, installCmd?: string,
 *   command: string, args: string[], env: Record<string, string>, cwd?: string }[]}
 */
export function planOf(config, catalog) {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new Error('The configuration is no object of servers.')
  }
  const names = Object.keys(config)
  if (names.length === 0 || names.length > serversMax) {
    throw new Error(`The configuration names ${names.length} servers; 1 to ${serversMax} are possible.`)
  }
  return names.map((name) => {
    const settings = config[name] ?? {}
    return name.startsWith('github/') ? fromRepository(name, settings) : fromPackage(name, settings, catalog)
  })
}

/** A server by its name alone, to be installed. */
export function serverOf(name, catalog) {
  const entry = entryOf(name, catalog)
  return { name, folder: `${installRoot}/${name}`, npm: entry.npm, pypi: entry.pypi }
}

function entryOf(name, catalog) {
  if (Object.hasOwn(catalog, name)) return catalog[name]
  const known = Object.keys(catalog).join(', ')
  throw new Error(
    `The MCP server "${name}" isn't there: this gateway runs servers that npm or PyPI has, and knows no package of it. It knows: ${known}; and github/<owner>/<repository>.`,
  )
}

function fromPackage(name, settings, catalog) {
  const entry = entryOf(name, catalog)
  const { command, args = [], env = {}, takes = [], optional = [] } = entry
  const known = new Set([...placeholders([args, env]), ...takes])
  for (const key of Object.keys(settings)) {
    if (!known.has(key)) throw new Error(`The MCP server "${name}" has no setting "${key}" here.`)
  }
  for (const key of placeholders([args, env])) {
    if (settings[key] === undefined && !optional.includes(key)) {
      throw new Error(`The MCP server "${name}" needs the setting "${key}".`)
    }
  }
  const folder = `${installRoot}/${name}`
  const bin = entry.npm ? `${folder}/node_modules/.bin` : `${folder}/bin`
  return {
    ...serverOf(name, catalog),
    command: `${bin}/${command}`,
    args: args.flatMap((arg) => filled(arg, settings, name)),
    env: Object.fromEntries(
      Object.entries(env).flatMap(([key, value]) => filled(value, settings, name).map((text) => [key, text])),
    ),
  }
}

function placeholders(value) {
  return [...JSON.stringify(value).matchAll(/\{(\w+)\}/g)].map(([, key]) => key)
}

/** One text, or as many as the list has that stands for it; none where a setting is left out. */
function filled(text, settings, name) {
  const [whole] = /^\{(\w+)\}$/.exec(text) ?? []
  if (whole !== undefined && Array.isArray(settings[whole.slice(1, -1)])) {
    return settings[whole.slice(1, -1)].map((each) => textOf(each, name))
  }
  if (placeholders(text).some((key) => settings[key] === undefined)) return []
  return [text.replaceAll(/\{(\w+)\}/g, (_, key) => textOf(settings[key], name))]
}

function textOf(value, name) {
  if (['string', 'number', 'boolean'].includes(typeof value)) return String(value)
  throw new Error(`A setting of the MCP server "${name}" is neither text, number nor boolean.`)
}

function fromRepository(name, settings) {
  const [, owner, repository] = /^github\/([\w-][\w.-]*)\/([\w-][\w.-]*)$/.exec(name) ?? []
  if (repository === undefined) throw new Error(`"${name}" is not github/<owner>/<repository>.`)
  const { runCmd, installCmd, envs = {}, ...others } = settings
  const [other] = Object.keys(others)
  if (other !== undefined) throw new Error(`The MCP server "${name}" has no setting "${other}".`)
  if (typeof runCmd !== 'string') throw new Error(`The MCP server "${name}" needs the setting "runCmd".`)
  const folder = `${installRoot}/${name}`
  return {
    ...{ name, folder, repository: `https://github.com/${owner}/${repository}.git`, cwd: folder },
    ...(installCmd !== undefined && { installCmd: textOf(installCmd, name) }),
    command: '/bin/bash',
    args: ['-l', '-c', runCmd],
    env: Object.fromEntries(Object.entries(envs).map(([key, value]) => [key, textOf(value, name)])),
  }
}
