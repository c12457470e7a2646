import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSecret } from './secret.ts'
import { isSignature, type SignedRequest, sign } from './signature.ts'

const token = '0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0'
const request: SignedRequest = { path: 'hello.txt', operation: 'read', username: 'user' }

describe('signatures', () => {
  it('gives what the official SDKs compute', () => {
    expect(sign(request, token)).toBe('v1_gUtH/s9YCJWgCizjfUxuWfhFE4QSydOWEIIvfLwDr6E')
  })

  it('accepts its own and no other', () => {
    const signature = sign({ ...request, expiration: 12 }, token)
    expect(isSignature(signature, { ...request, expiration: 12 }, token)).toBe(true)
    expect(isSignature(signature, { ...request, expiration: 13 }, token)).toBe(false)
    expect(isSignature(signature, request, token)).toBe(false)
    expect(isSignature(signature, { ...request, expiration: 12, operation: 'write' }, token)).toBe(false)
    expect(isSignature(signature, { ...request, expiration: 12 }, `${token}x`)).toBe(false)
    expect(isSignature(`${signature}=`, { ...request, expiration: 12 }, token)).toBe(false)
  })
})

describe('isSecret', () => {
  it('is equality', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => isSecret(a, b) === (a === b) && isSecret(a, a)))
  })
})
