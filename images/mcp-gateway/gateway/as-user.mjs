/** Words before a command that make it the sandbox's user's: servers run others' code, and the gateway's token is root's. */
export function asUser() {
  return [
    'setpriv',
    '--reuid=user',
    '--regid=user',
    '--init-groups',
    'env',
    'HOME=/home/user',
    'USER=user',
    'LOGNAME=user',
  ]
}
