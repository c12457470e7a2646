/**
 * The two programs that the SDKs' ready commands call and busybox doesn't have, as far as these and people call them. Both are
 * for bash, and refuse what they don't know.
 */

/** `ss -tuln`, `ss -Htln sport = :80`: sockets that listen */
const ss = `#!/bin/bash
refuse() { echo "ss: this small one knows -H -t -u -l -n, of which -l is a must, and 'sport = :PORT'" >&2; exit 1; }
kinds= header=yes listening=
while [[ $1 == -?* ]]; do
  for ((at = 1; at < \${#1}; at++)); do
    case \${1:at:1} in
      H) header= ;; t) kinds+=' tcp' ;; u) kinds+=' udp' ;; l) listening=yes ;; n) ;; *) refuse ;;
    esac
  done
  shift
done
wanted=
filter="$*"
if [[ $filter =~ ^sport' '=+' ':([0-9]+)$ ]]; then wanted=\${BASH_REMATCH[1]}; elif [[ -n $filter ]]; then refuse; fi
[[ -n $listening ]] || refuse
address() {
  local hex=$1 groups= at
  if ((\${#hex} == 8)); then
    printf '%d.%d.%d.%d' "0x\${hex:6:2}" "0x\${hex:4:2}" "0x\${hex:2:2}" "0x\${hex:0:2}"
    return
  fi
  for at in 6 2 14 10 22 18 30 26; do groups+=$(printf ':%x' "0x\${hex:at:2}\${hex:at-2:2}"); done
  case $groups in
    :0:0:0:0:0:0:0:0) printf '[::]' ;;
    :0:0:0:0:0:0:0:1) printf '[::1]' ;;
    *) printf '[%s]' "\${groups:1}" ;;
  esac
}
line='%-6s%-8s%-8s%-8s%25s %s\\n'
[[ -z $header ]] || printf "$line" Netid State Recv-Q Send-Q 'Local Address:Port' 'Peer Address:Port'
for kind in \${kinds:-tcp udp}; do
  state=0A called=LISTEN
  if [[ $kind == udp ]]; then state=07 called=UNCONN; fi
  for file in /proc/net/$kind /proc/net/\${kind}6; do
    [[ -r $file ]] || continue
    while read -r _ local _ found queues _; do
      port=$((16#\${local#*:}))
      if [[ $found != "$state" || ( -n $wanted && $port != "$wanted" ) ]]; then continue; fi
      printf "$line" $kind $called $((16#\${queues#*:})) $((16#\${queues%:*})) "$(address "\${local%:*}"):$port" '*:*'
    done < <(tail -n +2 "$file")
  done
done
`

/** `pgrep [-f] [-x] [-l] [-u user] pattern` */
const pgrep = `#!/bin/bash
refuse() { echo "pgrep: this small one knows -f -x -l, -u USER and a pattern" >&2; exit 2; }
full= exact= long= uid=
while [[ $1 == -?* ]]; do
  case $1 in
    --) shift; break ;;
    -u) uid=$(id -u "$2") || exit 2; shift ;;
    -*[!-flx]* | -?*-*) refuse ;;
    *) [[ $1 != *f* ]] || full=yes; [[ $1 != *x* ]] || exact=yes; [[ $1 != *l* ]] || long=yes ;;
  esac
  shift
done
(($# == 1)) || [[ -n $uid && $# == 0 ]] || refuse
pattern=$1
if [[ -n $exact ]]; then pattern="^($pattern)$"; fi
status=1
for folder in /proc/[0-9]*; do
  pid=\${folder#/proc/}
  if [[ $pid == "$$" ]] || ! read -r name 2> /dev/null < "$folder/comm"; then continue; fi
  text=$name
  if [[ -n $full ]]; then text=$(tr '\\0' ' ' 2> /dev/null < "$folder/cmdline"); text=\${text% }; fi
  if [[ -n $uid && $(stat -c %u "$folder" 2> /dev/null) != "$uid" ]]; then continue; fi
  if [[ \${text:-$name} =~ $pattern ]]; then
    echo "$pid\${long:+ $name}"
    status=0
  fi
done
exit $status
`

/** By the names of the words of \`lookScript\` */
export const barePrograms: Record<string, string> = { ss, pgrep }
