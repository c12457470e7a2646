#!/bin/sh
# Makes a Debian root file system with packages.txt installed into the stock template. Runs inside that file system,
# as root, with this recipe's files in /tmp/recipe. What clients see follows e2b-behaviour 4.2.
set -eu

# Node with its headers, which node-gyp would else download (the profile below says where they are). npm must be told the
# prefix, else `npm install -g` looks for it beside Node.
mkdir -p /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/yarn /usr/local/share/doc/node
tar -xzf /tmp/recipe/node.tgz -C /usr/local --strip-components=1 --no-same-owner package/bin package/include
tar -xzf /tmp/recipe/node.tgz -C /usr/local/share/doc/node --strip-components=1 --no-same-owner package/LICENSE
ln -sf node /usr/local/bin/nodejs
tar -xzf /tmp/recipe/npm.tgz -C /usr/local/lib/node_modules/npm --strip-components=1 --no-same-owner
rm -rf /usr/local/lib/node_modules/npm/man /usr/local/lib/node_modules/npm/docs
printf 'prefix=/usr/local\nupdate-notifier=false\n' > /usr/local/lib/node_modules/npm/npmrc
ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ln -sf ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
tar -xzf /tmp/recipe/yarn.tgz -C /usr/local/lib/node_modules/yarn --strip-components=1 --no-same-owner
ln -sf ../lib/node_modules/yarn/bin/yarn.js /usr/local/bin/yarn
ln -sf ../lib/node_modules/yarn/bin/yarn.js /usr/local/bin/yarnpkg
ln -sf python3 /usr/bin/python

# A sandbox is thrown away: pip may change the system's Python, as in the official template.
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED

# Sandboxes have no raw sockets, and a program whose file claims them can't even start; ping needs none.
cp /bin/ping /bin/ping.plain
mv -f /bin/ping.plain /bin/ping

# Each command is a `bash -l -c`, so the profile spawns nothing and leaves alone what the caller has set. Debian's
# runs `id`, overwrites PATH, and root's own runs `mesg`.
cat > /etc/profile <<'PROFILE'
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
export npm_package_config_node_gyp_nodedir=/usr/local
if [ -n "${PS1-}" ] && [ -n "${BASH-}" ] && [ "$BASH" != /bin/sh ] && [ -r /etc/bash.bashrc ]; then
  . /etc/bash.bashrc
fi
for profile in /etc/profile.d/*.sh; do
  if [ -r "$profile" ]; then . "$profile"; fi
done
unset profile
PROFILE
rm -f /etc/profile.d/*.sh
cat > /root/.profile <<'PROFILE'
if [ -n "${BASH-}" ] && [ -r ~/.bashrc ]; then . ~/.bashrc; fi
PROFILE

useradd --create-home --uid 1000 --user-group --shell /bin/bash user
printf 'user ALL=(ALL:ALL) NOPASSWD: ALL\n' > /etc/sudoers.d/user
chmod 0440 /etc/sudoers.d/user
mkdir -p /code
chown user:user /code
chmod 777 /code
chmod -R 777 /usr/local

# What the build left: package lists and caches, logs, the host's identity, documentation.
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt/* \
  /usr/share/man/* /usr/share/info/* /usr/share/locale/* /var/lib/dpkg/*-old /etc/*- /tmp/recipe
find /usr/share/doc -mindepth 1 -not -name copyright -not -type d -delete
find /usr/share/doc -mindepth 1 -type d -empty -delete
: > /etc/hostname
: > /etc/resolv.conf
: > /etc/machine-id
