import { expect, test } from 'vitest'
import { findCgroup } from './cgroup.ts'

const v1 =
  '31 24 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n'
const v2 = '29 23 0:25 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate\n'
const hybrid = `${v2.replace('/sys/fs/cgroup', '/sys/fs/cgroup/unified')}${v1}`

test.each([
  ['version 2', '0::/system.slice/docker-0a.scope\n', v2, 2, '/sys/fs/cgroup/system.slice/docker-0a.scope'],
  ['version 1', '4:memory:/docker/0a\n1:cpu,cpuacct:/x\n', v1, 1, '/sys/fs/cgroup/memory/docker/0a'],
  ['both', '4:memory:/docker/0a\n1:name=systemd:/\n0::/\n', hybrid, 1, '/sys/fs/cgroup/memory/docker/0a'],
  ['both, memory in 2', '1:name=systemd:/\n0::/docker/0a\n', hybrid, 2, '/sys/fs/cgroup/unified/docker/0a'],
  ['a colon in the path', '0::/a:b/c\n', v2, 2, '/sys/fs/cgroup/a:b/c'],
  [
    'a mount of a part',
    '0::/outer/docker/0a\n',
    v2.replace(' / ', ' /outer '),
    2,
    '/sys/fs/cgroup/docker/0a',
  ],
  ['a space', '0::/a\n', v2.replace('/sys/fs', '/my\\040fs'), 2, '/my fs/cgroup/a'],
])('%s', (_, groups, mounts, version, directory) => {
  expect(findCgroup('memory', groups, mounts)).toEqual({ version, directory })
})

test.each([
  ['no mount', '0::/a\n', ''],
  ['a mount of another part', '0::/elsewhere/a\n', v2.replace(' / ', ' /outer ')],
  ['a process outside of what is seen', '0::/../a\n', v2],
  ['nothing', '', hybrid],
  ['a controller that is not mounted', '4:memory:/a\n', v2],
])('%s is none', (_, groups, mounts) => {
  expect(findCgroup('memory', groups, mounts)).toBeUndefined()
})
