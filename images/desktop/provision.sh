#!/bin/sh
# Makes the stock template into a desktop. Runs inside it as root, with this recipe's files in /tmp/recipe. What the SDKs
# run is in their code: Xvfb, startxfce4, xdotool, scrot, xrandr, xdpyinfo, netstat, gtk-launch, xdg-open, x11vnc, noVNC.
set -eu
recipe=/tmp/recipe

apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
  $(cat $recipe/packages.txt)

# The SDKs start noVNC from this folder. Debian's package wants Debian's Node beside the one that is there, so only its files
# are taken.
cd "$(mktemp -d)"
apt-get -o APT::Sandbox::User=root download novnc
dpkg-deb --extract novnc_*.deb .
mkdir -p /opt/noVNC /usr/share/doc/novnc
cp -a usr/share/novnc/. /opt/noVNC/
cp usr/share/doc/novnc/copyright /usr/share/doc/novnc/
ln -sf vnc.html /opt/noVNC/index.html
rm -rf "$PWD"
cd /

cp -a $recipe/files/. /

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt/* \
  /usr/share/man/* /usr/share/info/* /usr/share/locale/* $recipe
