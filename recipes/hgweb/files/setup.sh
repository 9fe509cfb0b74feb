#!/bin/sh
# The first start of a grain: who may push, and a repository.
set -eu
mkdir -p /var/hg /var/lib/hg
python3 /app/setup.py
VARHG=/var/hg
. /app/example.sh
