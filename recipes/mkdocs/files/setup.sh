#!/bin/sh
# The first start of a grain: a manual of one page.
set -eu
mkdir -p /var/site/source/docs
# Highlighting would load a script from elsewhere.
cat > /var/site/source/mkdocs.yml <<'YAML'
site_name: A manual
theme:
  name: mkdocs
  highlightjs: false
YAML
cat > /var/site/source/docs/index.md <<'TEXT'
# A manual

What is written here is seen at once. [Write](/edit/)
TEXT
