/** What runs inside of images that are made fit for sandboxes: for any POSIX shell, with next to no programs. */

/**
 * Does what needs no package, and says what is missing, one word a line. What an image has already isn't touched, because
 * each file that is would be copied into the image's new layer.
 */
export const lookScript = `
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
has() { command -v "$1" >/dev/null 2>&1; }
if [ ! -e /bin/bash ] && has bash && has ln; then ln -s "$(command -v bash)" /bin/bash; fi
[ -x /bin/bash ] || echo bash
has sudo || echo sudo
certificates=
for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem /etc/ssl/ca-bundle.pem; do
  if [ -s "$file" ]; then certificates=yes; fi
done
[ -n "$certificates" ] || echo certificates
for program in curl ss pgrep git; do has "$program" || echo "$program"; done
if has mkdir && has chmod; then
  mkdir -p /code /usr/local
  chmod 777 /code
  if has find; then
    find /usr/local ! -type l ! -perm -777 -exec chmod 777 {} +
  else
    chmod -R 777 /usr/local
  fi
fi
if [ ! -e /.e2b ]; then : > /.e2b; fi
`

/**
 * Installs what is named by the words of `lookScript`, with the image's package manager. Ends with 0 when that was told to
 * install all of it, 10 where there is none, else with its own status.
 */
export const installScript = `
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
has() { command -v "$1" >/dev/null 2>&1; }
manager=
for program in apt-get dnf microdnf yum apk pacman zypper; do
  if [ -z "$manager" ] && has "$program"; then manager=$program; fi
done
[ -n "$manager" ] || exit 10
packages=
for word in "$@"; do
  case "$manager:$word" in
    *:certificates) package=ca-certificates ;;
    dnf:ss | microdnf:ss | yum:ss) package=iproute ;;
    *:ss) package=iproute2 ;;
    dnf:pgrep | microdnf:pgrep | yum:pgrep | pacman:pgrep) package=procps-ng ;;
    *:pgrep) package=procps ;;
    *) package=$word ;;
  esac
  packages="$packages $package"
done
echo "Installing with $manager:$packages"
case "$manager" in
  apt-get)
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update && apt-get -q install -y --no-install-recommends $packages
    status=$?
    rm -rf /var/lib/apt/lists/*
    exit $status
    ;;
  dnf | microdnf | yum) "$manager" install -y $packages && "$manager" clean all ;;
  apk) apk add --no-cache $packages ;;
  pacman)
    # All of it is brought up to date, as Arch has no other way: new packages want the newest libraries.
    pacman -Syu --noconfirm --needed $packages || pacman -Syu --disable-sandbox --noconfirm --needed $packages
    ;;
  zypper) zypper --non-interactive install --no-recommends $packages ;;
esac
`

/** The end of `installScript` where there is no package manager */
export const noManager = 10
