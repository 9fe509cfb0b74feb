#!/bin/sh
# The first start of a grain: a key for its cookies, and the colours of code.
set -eu
mkdir -p /var/lib/bepasty/storage /var/lib/bepasty/css
head -c 48 /dev/urandom | base64 > /var/lib/bepasty/secret
chmod 600 /var/lib/bepasty/secret
python3 -c 'from pygments.formatters import HtmlFormatter; print(HtmlFormatter(style="colorful").get_style_defs(".highlight"))' > /var/lib/bepasty/css/colorful.css
