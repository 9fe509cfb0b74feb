#!/bin/sh
# The first start of a grain: an administrator, whose password is told by a digest with a salt of this grain.
set -eu
umask 077
salt=$(head -c 15 /dev/urandom | base64 | tr +/ ab)
hash=$(printf %s "tea-for-two$salt" | sha256sum | cut -c 1-64)
mkdir -p /var/lib/znc/configs
sed "s|@salt@|$salt|; s|@hash@|$hash|" /app/znc.conf > /var/lib/znc/configs/znc.conf
