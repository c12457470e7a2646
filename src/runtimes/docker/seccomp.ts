/**
 * Our own seccomp profile, in the engine's format, so that what of the kernel sandboxes reach doesn't depend on the
 * engine's age: what is refused is `EPERM`, and `ENOSYS` where programs then try an older call.
 *
 * The calls are in spec/system-calls.json, which the native runtime's filter is made of as well: what programs need that
 * have a container's usual capabilities. What isn't there is refused, above all io_uring, userfaultfd, keyrings, bpf, perf,
 * name spaces and mounts. Names that an architecture or library lacks are ignored.
 */
import calls from '../../../spec/system-calls.json' with { type: 'json' }

const allow = 'SCMP_ACT_ALLOW'
const refuse = 'SCMP_ACT_ERRNO'
const ENOSYS = 38

type Condition = (typeof calls.conditions)[number]

const systemCalls = Object.values(calls.allowed).flatMap((group) => Object.keys(group))

/** Value of the container's option `seccomp`. */
export const seccompProfile = JSON.stringify({
  defaultAction: refuse,
  archMap: [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
  ],
  syscalls: [
    { names: systemCalls, action: allow },
    ...calls.conditions.map((condition) => ({
      names: [condition.name],
      action: allow,
      args: [argument(condition)],
    })),
    { names: calls.absent.map(({ name }) => name), action: refuse, errnoRet: ENOSYS },
  ],
})

function argument({ argument: index, operation, value }: Condition) {
  switch (operation) {
    case 'no-bits':
      return { index, value, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }
    case 'unequal':
      return { index, value, valueTwo: 0, op: 'SCMP_CMP_NE' }
    default:
      return { index, value, valueTwo: 0, op: 'SCMP_CMP_EQ' }
  }
}
