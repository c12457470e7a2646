/** Local repositories for package managers that Debian has but whose distributions can't be reached. */

/**
 * For a Debian with dnf, zypper, pacman and what makes packages for them: packs the programs that sandboxes want as packages
 * of rpm's and pacman's kind, with the names that they have there, then removes them, apt, and each manager but `kept`.
 */
export function repositoriesScript(kept: string): string {
  const managers = ['dnf', 'zypper', 'pacman'].filter((name) => name !== kept)
  return `
set -eu
mkdir -p /srv/rpm /srv/pacman
bundle=/etc/ssl/certs/ca-certificates.crt
as_rpm() {
  printf '%s\\n' "Name: $1" 'Version: 1' 'Release: 1' 'Summary: x' 'License: x' 'AutoReqProv: no' \\
    '%global debug_package %{nil}' '%global __os_install_post %{nil}' '%description' 'x' '%install' \\
    "mkdir -p %{buildroot}\${2%/*}" "cp -p $2 %{buildroot}$2" '%files' "$2" > "/srv/$1.spec"
  rpmbuild --quiet -bb --define '_rpmdir /srv/rpm' "/srv/$1.spec"
}
as_pacman() {
  root=/srv/$1
  mkdir -p "$root\${2%/*}" && cp -p "$2" "$root$2"
  printf '%s\\n' "pkgname = $1" 'pkgver = 1-1' 'pkgdesc = x' 'builddate = 1' 'packager = x' 'size = 1' 'arch = any' > "$root/.PKGINFO"
  (cd "$root" && bsdtar --zstd -cf "/srv/pacman/$1-1-1-any.pkg.tar.zst" .PKGINFO "\${2#/}")
}
for file in /usr/bin/bash /usr/bin/sudo /usr/bin/curl /usr/bin/git $bundle; do
  name=\${file##*/}
  if [ "$file" = $bundle ]; then name=ca-certificates; fi
  as_rpm "$name" "$file"
  as_pacman "$name" "$file"
done
# The same have other names on Fedora than on SUSE and Arch.
as_rpm iproute /usr/bin/ss
as_rpm iproute2 /usr/bin/ss
as_rpm procps-ng /usr/bin/pgrep
as_rpm procps /usr/bin/pgrep
as_pacman iproute2 /usr/bin/ss
as_pacman procps-ng /usr/bin/pgrep
createrepo_c --quiet /srv/rpm
repo-add -q /srv/pacman/own.db.tar.gz /srv/pacman/*.zst
repo='[own]\\nname=own\\nbaseurl=file:///srv/rpm\\nenabled=1\\ngpgcheck=0\\n'
mkdir -p /etc/yum.repos.d /etc/zypp/repos.d
printf "$repo" > /etc/yum.repos.d/own.repo
printf "$repo" > /etc/zypp/repos.d/own.repo
printf '[options]\\nArchitecture = auto\\nSigLevel = Never\\n[own]\\nServer = file:///srv/pacman\\n' > /etc/pacman.conf
rm -f /usr/bin/apt* $bundle /usr/bin/bash /usr/bin/sudo /usr/bin/curl /usr/bin/git /usr/bin/ss /usr/bin/pgrep
rm -f ${managers.map((name) => `/usr/bin/${name}`).join(' ')}
`
}
