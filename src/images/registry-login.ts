/** From credentials as people have them to the user and password that a registry takes. */
import { AwsClient } from 'aws4fetch'
import { ServerError } from '../domain/error.ts'
import type { RegistryCredentials } from '../domain/images.ts'
import { linkSignals } from '../lib/linked-signal.ts'

/** Longest wait for AWS, in milliseconds */
const awsMs = 20_000
/** Most that is read of its answer, in bytes; a token has some 2 KB */
const answerMaxBytes = 64 * 1024

export interface Login {
  username: string
  password: string
}

/** Where AWS gives passwords for a region's registries. */
export function ecrEndpoint(region: string): string {
  return `https://api.ecr.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}/`
}

/**
 * Errors: `invalid_argument` (credentials that can't be any), `unauthenticated` (AWS refuses them), `unavailable` (AWS doesn't
 * answer), the signal's reason.
 */
export async function loginOf(
  credentials: RegistryCredentials,
  endpoint: (region: string) => string,
  signal: AbortSignal,
): Promise<Login> {
  if (credentials.type === 'registry') {
    return { username: credentials.username, password: credentials.password }
  }
  if (credentials.type === 'gcp') {
    // The account's key file as it is: Google's registries take it as a password.
    if (isServiceAccount(credentials.serviceAccountJson))
      return { username: '_json_key', password: credentials.serviceAccountJson }
    throw new ServerError(
      'invalid_argument',
      'The credentials for the registry are not the JSON key of a Google service account.',
    )
  }
  return ecrLogin(credentials, endpoint, signal)
}

function isServiceAccount(text: string): boolean {
  try {
    const { type, private_key: key } = JSON.parse(text) as Record<string, unknown>
    return type === 'service_account' && typeof key === 'string'
  } catch {
    return false
  }
}

async function ecrLogin(
  { accessKeyId, secretAccessKey, region }: Extract<RegistryCredentials, { type: 'aws' }>,
  endpoint: (region: string) => string,
  signal: AbortSignal,
): Promise<Login> {
  // It becomes a part of a host's name.
  if (!/^[a-z]{2,4}(-[a-z]{2,12}){1,3}-\d{1,2}$/.test(region)) {
    throw new ServerError('invalid_argument', `${region.slice(0, 64)} is not the name of an AWS region.`)
  }
  const client = new AwsClient({ accessKeyId, secretAccessKey, region, service: 'ecr' })
  const bounded = linkSignals([signal], awsMs)
  try {
    const request = await client.sign(endpoint(region), {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken',
      },
      body: '{}',
    })
    const response = await fetch(request, { signal: bounded.signal, redirect: 'error' })
    const answer = await boundedText(response)
    if (response.status >= 400 && response.status < 500) {
      throw new ServerError(
        'unauthenticated',
        'AWS refuses the credentials for the registry. Check the access key, its secret, the region and that it may call ' +
          'ecr:GetAuthorizationToken.',
        { cause: new Error(`AWS answered ${response.status}: ${answer.slice(0, 500)}`) },
      )
    }
    return readToken(answer)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ServerError) throw error
    throw new ServerError('unavailable', 'AWS gives no password for the registry: it does not answer.', {
      cause: error,
    })
  } finally {
    bounded.dispose()
  }
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > answerMaxBytes) throw new Error('The answer is too long.')
  }
  return text
}

/** The token is `user:password` in base64. */
function readToken(answer: string): Login {
  const { authorizationData } = JSON.parse(answer) as {
    authorizationData?: { authorizationToken?: unknown }[]
  }
  const token = authorizationData?.[0]?.authorizationToken
  const pair = typeof token === 'string' ? Buffer.from(token, 'base64').toString() : ''
  const colon = pair.indexOf(':')
  if (colon < 1) throw new Error('The answer has no token.')
  return { username: pair.slice(0, colon), password: pair.slice(colon + 1) }
}
