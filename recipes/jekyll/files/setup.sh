#!/bin/sh
# The first start of a grain: a web log of one page.
set -eu
mkdir -p /var/site/source/_posts
cd /var/site/source
cat > _config.yml <<'TEXT'
title: A web log
description: What is written here is seen at once.
theme: minima
plugins: [jekyll-feed, jekyll-seo-tag, jekyll-sitemap, jekyll-paginate]
TEXT
cat > index.md <<'TEXT'
---
layout: home
---
[Write](/edit/)
TEXT
cat > 404.md <<'TEXT'
---
layout: page
title: There is no such page.
permalink: /404.html
---
TEXT
cat > _posts/2024-01-01-first.md <<'TEXT'
---
layout: post
title: The first page
---
Put the kettle on.
TEXT
