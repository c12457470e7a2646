#!/bin/sh
# Makes the base template into the code interpreter's, but for our own files. Runs inside of it, as root, with this
# recipe's files in /tmp/recipe.
set -eu

export DEBIAN_FRONTEND=noninteractive SSL_CERT_FILE="${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"

# The JDK's set-up fails where nobody has manuals.
mkdir -p /usr/share/man/man1
apt-get -q update
apt-get -q install -y --no-install-recommends $(cat /tmp/recipe/packages.txt)
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/share/man/*

# uv fetches side by side and compiles on all cores; sandboxes import what is compiled already.
pip install -q --no-cache-dir --root-user-action=ignore --target /tmp/uv uv==0.13.9
uv() { /tmp/uv/bin/uv pip install --no-cache --compile-bytecode --no-progress "$@"; }
uv --system --break-system-packages -r /tmp/recipe/requirements.txt
# The server has libraries of its own, so that whatever a sandbox's user installs can't break it.
python3 -m venv --without-pip /opt/code-interpreter/venv
uv --python /opt/code-interpreter/venv/bin/python -r /tmp/recipe/server.txt

# What the first import of matplotlib would else spend seconds with.
HOME=/root python3 -c 'import matplotlib.font_manager'
rm -rf /tmp/uv /tmp/recipe /root/.cache/uv
# As the base template has it; each file that had to be changed later would be copied into another layer.
chmod -R 777 /usr/local
