import { type Claim, type Section, sections } from './claims.ts'
import type { Surface } from './surface.ts'

/** Where the template takes the tables, and the names of the clients. */
const tablesMark = '<!-- methods -->'
const clientsMark = '<!-- clients -->'

/** docs/compat.md: the template with a table for each section of the claims. */
export function renderCompat(template: string, surface: Surface): string {
  const clients = clientsOf(surface)
  const tables = [...sections, ...unknownSection(surface)].map((section) => renderSection(section, clients))
  return template
    .replace(clientsMark, () => clients.map(({ title }) => title).join(', '))
    .replace(tablesMark, () => tables.join('\n\n'))
}

/** Methods of the SDKs that the claims don't name. */
export function unknownMethods(surface: Surface): string[] {
  const claimed = new Set(sections.flatMap(({ claims }) => claims.flatMap(({ methods }) => methods)))
  return [...new Set(Object.values(surface).flat())].filter((method) => !claimed.has(method)).sort()
}

interface Client {
  title: string
  methods: Set<string>
}

/** One for each release: Python's two flavors are shown as one. */
function clientsOf(surface: Surface): Client[] {
  const clients = new Map<string, Set<string>>()
  for (const [name, methods] of Object.entries(surface)) {
    const title = titleOf(name)
    clients.set(title, new Set([...(clients.get(title) ?? []), ...methods]))
  }
  return [...clients].map(([title, methods]) => ({ title, methods }))
}

/** How a table heads the column of a client. */
export function titleOf(client: string): string {
  const [language, version] = client.split(' ')
  return `${language === 'js' ? 'JavaScript' : 'Python'} ${version}`
}

function unknownSection(surface: Surface): Section[] {
  const unknown = unknownMethods(surface)
  if (unknown.length === 0) return []
  return [{ title: 'Unknown', claims: [{ state: 'not yet', methods: unknown, note: 'nobody has looked' }] }]
}

function renderSection({ title, claims }: Section, clients: Client[]): string {
  const head = ['method', ...clients.map((client) => client.title), '']
  const rows = claims.map((claim) => [
    claim.methods.map((method) => `\`${method}\``).join(', '),
    ...clients.map((client) => cell(claim, client)),
    [claim.note, ...Object.entries(claim.partlyIn ?? {}).map((pair) => pair.join(': '))]
      .filter(Boolean)
      .join('; '),
  ])
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return [`### ${title}`, '', ...lines].join('\n')
}

/** `–` where the release has none of the methods. */
function cell({ state, methods, partlyIn }: Claim, client: Client): string {
  if (!methods.some((method) => client.methods.has(method))) return '–'
  if (partlyIn?.[client.title] !== undefined) return 'partly'
  return state === 'local' ? 'works' : state
}
