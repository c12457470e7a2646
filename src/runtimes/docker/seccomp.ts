/**
 * Our own seccomp profile, in the engine's format, so that what of the kernel sandboxes reach doesn't depend on the
 * engine's age: what is refused is `EPERM`, and `ENOSYS` where programs then try an older call.
 */
import { systemCalls } from './system-calls.ts'

const allow = 'SCMP_ACT_ALLOW'
const refuse = 'SCMP_ACT_ERRNO'
const ENOSYS = 38
/** All flags of `clone` that make a namespace */
const namespaceFlags = 0x7e020000
/** Sockets to a hypervisor, of which no network rule knows */
const AF_VSOCK = 40
/** `socketcall` (32-bit programs) that makes a socket: which kind is behind a pointer, so it can't be told */
const SYS_SOCKET = 1
/** Personalities: Linux of 64 and 32 bits, both also as reported by an old `uname`, and the question what it is */
const personalities = [0x0, 0x0008, 0x20000, 0x20008, 0xffffffff]

const masked = (index: number, mask: number) => ({
  index,
  value: mask,
  valueTwo: 0,
  op: 'SCMP_CMP_MASKED_EQ',
})
const equal = (index: number, value: number) => ({ index, value, valueTwo: 0, op: 'SCMP_CMP_EQ' })
const unequal = (index: number, value: number) => ({ index, value, valueTwo: 0, op: 'SCMP_CMP_NE' })

/** Value of the container's option `seccomp`. */
export const seccompProfile = JSON.stringify({
  defaultAction: refuse,
  archMap: [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
  ],
  syscalls: [
    { names: systemCalls, action: allow },
    { names: ['socket'], action: allow, args: [unequal(0, AF_VSOCK)] },
    { names: ['socketcall'], action: allow, args: [unequal(0, SYS_SOCKET)] },
    { names: ['clone'], action: allow, args: [masked(0, namespaceFlags)] },
    // Its flags are behind a pointer; C libraries fall back to `clone`.
    { names: ['clone3'], action: refuse, errnoRet: ENOSYS },
    ...personalities.map((value) => ({ names: ['personality'], action: allow, args: [equal(0, value)] })),
  ],
})
