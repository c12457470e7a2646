/**
 * Signed file URLs that name no sandbox, as SDKs with `E2B_SANDBOX_URL` make them (e2b-wire 1.7): the sandbox is found
 * by trying the signature against the token of every one that takes traffic. Anybody may ask, so the work is bounded:
 * one lookup at a time, in slices between which other work goes on, and few that wait.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type SignedRequest, signerTest } from '../auth/signature.ts'
import type { HttpRequest } from '../domain/http.ts'
import type { LiveSandbox, SandboxDirectory } from '../domain/live-sandbox.ts'
import { withOneLeadingSlash } from '../lib/leading-slash.ts'
import { envdPort } from './envd-port.ts'
import type { ErrorRoute, SandboxRoute } from './route.ts'

/** Tokens tried in one slice: about a quarter of a millisecond. */
const sliceTokens = 128
/** Lookups that wait for their turn. */
const maxWaiting = 64

/**
 * The route of a signed file request, to be asked for requests to the API's own name; undefined where the request
 * isn't one. A sandbox without a token has no signatures, and is never found. Never rejects.
 */
export type FindSigned = (req: HttpRequest) => Promise<SandboxRoute | ErrorRoute> | undefined

export function createFindSigned(directory: Pick<SandboxDirectory, 'all'>): FindSigned {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  return (req) => {
    const asked = parse(req)
    if (asked === undefined) return undefined
    const isSigner = asked.request && signerTest(asked.signature, asked.request)
    if (isSigner === undefined) return Promise.resolve(invalidSignature)
    if (waiting >= maxWaiting) return Promise.resolve(tooMany)
    waiting++
    const found = last.then(() => findSigner(directory.all(), isSigner))
    last = found
    return found.then((signer) => {
      waiting--
      return signer ? { kind: 'sandbox', sandboxId: signer.id, port: envdPort } : invalidSignature
    })
  }
}

const invalidSignature: ErrorRoute = { kind: 'error', status: 401, message: 'invalid signature' }
const tooMany: ErrorRoute = {
  kind: 'error',
  status: 429,
  message: 'Too many signed URLs are used at once. Try again in a moment.',
}

/** Tries all of them, also when one has been found: the time must not tell which. */
async function findSigner(
  sandboxes: Iterable<LiveSandbox>,
  isSigner: (accessToken: string) => boolean,
): Promise<LiveSandbox | undefined> {
  let found: LiveSandbox | undefined
  let tried = 0
  for (const sandbox of [...sandboxes]) {
    if (sandbox.accessToken === null) continue
    if (isSigner(sandbox.accessToken)) found = sandbox
    tried++
    if (tried % sliceTokens === 0) await nextTurn()
  }
  return found
}

interface Asked {
  signature: string
  /** Undefined where it can't have been signed */
  request: SignedRequest | undefined
}

function parse(req: HttpRequest): Asked | undefined {
  const url = withOneLeadingSlash(req.url ?? '')
  if (!url.startsWith('/files?')) return undefined
  const operation = operationOf(req)
  const query = new URLSearchParams(url.slice('/files?'.length))
  const signature = query.get('signature')
  if (operation === undefined || signature === null) return undefined
  const expiration = query.get('signature_expiration') ?? ''
  if (!/^(-?\d{1,15})?$/.test(expiration)) return { signature, request: undefined }
  const request: SignedRequest = {
    path: query.get('path') ?? '',
    operation,
    username: query.get('username') ?? '',
    ...(expiration === '' ? {} : { expiration: Number(expiration) }),
  }
  return { signature, request }
}

/** What the URL must have been signed for. */
function operationOf({ method }: HttpRequest): SignedRequest['operation'] | undefined {
  if (method === 'GET' || method === 'HEAD') return 'read'
  return method === 'POST' ? 'write' : undefined
}
