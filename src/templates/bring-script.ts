/** Where what we bring lies in an image: not below /usr/local, which everybody may write to. */
export const toolsFolder = '/usr/lib/e2b'

/**
 * The programs that busybox stands in for. Not all it could: some of its others answer for a package manager or a
 * downloader that checks no certificates.
 */
const small = [
  ...[
    '[',
    'awk',
    'base64',
    'basename',
    'bunzip2',
    'bzcat',
    'bzip2',
    'cat',
    'chgrp',
    'chmod',
    'chown',
    'clear',
    'cmp',
    'cp',
  ],
  ...[
    'cpio',
    'cut',
    'date',
    'dd',
    'df',
    'diff',
    'dirname',
    'du',
    'echo',
    'egrep',
    'env',
    'expr',
    'false',
    'fgrep',
    'find',
  ],
  ...[
    'free',
    'getopt',
    'grep',
    'groups',
    'gunzip',
    'gzip',
    'head',
    'hexdump',
    'hostname',
    'id',
    'kill',
    'killall',
    'less',
  ],
  ...[
    'ln',
    'logname',
    'ls',
    'md5sum',
    'mkdir',
    'mkfifo',
    'mktemp',
    'more',
    'mv',
    'nc',
    'netstat',
    'nl',
    'nproc',
    'nslookup',
  ],
  ...[
    'od',
    'paste',
    'patch',
    'pidof',
    'ping',
    'printf',
    'ps',
    'pwd',
    'readlink',
    'realpath',
    'renice',
    'rev',
    'rm',
    'rmdir',
  ],
  ...[
    'sed',
    'seq',
    'setsid',
    'sh',
    'sha1sum',
    'sha256sum',
    'sha512sum',
    'shuf',
    'sleep',
    'sort',
    'stat',
    'strings',
    'stty',
  ],
  ...[
    'su',
    'sync',
    'tac',
    'tail',
    'tar',
    'taskset',
    'tee',
    'test',
    'time',
    'timeout',
    'top',
    'touch',
    'tr',
    'true',
  ],
  ...[
    'truncate',
    'tty',
    'uname',
    'uniq',
    'unlink',
    'unxz',
    'unzip',
    'uptime',
    'vi',
    'watch',
    'wc',
    'which',
    'who',
    'whoami',
  ],
  ...['xargs', 'xxd', 'xz', 'xzcat', 'yes', 'zcat'],
]

/**
 * For the busybox that came with it, in an image that may have nothing else. Nothing that the image has is replaced or hidden,
 * links to nowhere included. `sudo` is the agent's own program, whose file lends its rights (guest/src/sudo).
 */
export const bringScript = `
tools=${toolsFolder}
b=$tools/busybox
has() {
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    if [ -x "$folder/$1" ] && [ ! -d "$folder/$1" ]; then return 0; fi
  done
  return 1
}
is_free() { [ ! -e "$1" ] && [ ! -L "$1" ]; }
link() { if is_free "$2"; then $b mkdir -p "\${2%/*}" && $b ln -s "$1" "$2"; else return 1; fi; }
brought=
for folder in /bin /sbin /usr/bin /usr/sbin /etc /var; do $b mkdir -p "$folder"; done
if is_free /root; then $b mkdir -m 700 /root; fi
for folder in /tmp /var/tmp; do
  if is_free "$folder"; then $b mkdir -m 1777 "$folder"; fi
done
count=0
small=' ${small.join(' ')} '
for path in $($b --list-full); do
  name=\${path##*/}
  case "$small" in
    *" $name "*)
      has "$name" || link "$b" "/$path"
      if [ "$($b readlink "/$path")" = "$b" ]; then count=$((count + 1)); fi
      ;;
  esac
done
if ! has bash && link "$tools/bash" /bin/bash; then brought="$brought bash,"; fi
if [ "$($b readlink /bin/bash)" != "$tools/bash" ]; then $b rm "$tools/bash"; fi
for name in ss pgrep; do
  if ! has "$name" && $b chmod 755 "$tools/$name" && link "$tools/$name" "/usr/bin/$name"; then brought="$brought $name,"; fi
  if [ "$($b readlink "/usr/bin/$name")" != "$tools/$name" ]; then $b rm "$tools/$name"; fi
done
if ! has sudo && is_free /usr/bin/sudo; then
  # The agent's own program; where root may mount nobody gets at it by its process.
  agent=/run/e2b-guest/agent
  if [ ! -f $agent ]; then agent=/proc/1/exe; fi
  if $b cp $agent "$tools/sudo" && $b chown 0:0 "$tools/sudo" && $b chmod 4755 "$tools/sudo"; then
    link "$tools/sudo" /usr/bin/sudo && brought="$brought sudo,"
  fi
fi
bundle=/etc/ssl/certs/ca-certificates.crt
has_bundle=
for file in $bundle /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem /etc/ssl/ca-bundle.pem; do
  if [ -s "$file" ]; then has_bundle=yes; fi
done
if [ -z "$has_bundle" ] && is_free "$bundle"; then
  $b mkdir -p /etc/ssl/certs && $b cp "$tools/ca-certificates.crt" "$bundle" && brought="$brought certificates,"
  link "$bundle" /etc/ssl/cert.pem
  # Where the distributions' own OpenSSL looks.
  if [ -d /usr/lib/ssl ]; then link "$bundle" /usr/lib/ssl/cert.pem; fi
  if [ -d /etc/pki/tls ]; then link "$bundle" /etc/pki/tls/certs/ca-bundle.crt; link "$bundle" /etc/pki/tls/cert.pem; fi
fi
$b rm "$tools/ca-certificates.crt"
echo "The server brought along:$brought $count small programs (busybox)."
if [ "$count" = 0 ]; then $b rm "$b"; fi
`
