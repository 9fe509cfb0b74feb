#!/bin/sh
# The first start of a grain: a site of one page, and templates for more.
set -eu
mkdir -p /var/site/source
cd /var/site/source
mkdir -p assets content/posts layouts/_default
cat > hugo.toml <<'TEXT'
title = "A site"
languageCode = "en"
TEXT
cat > content/_index.md <<'TEXT'
What is written here is seen at once. [Write](/edit/)
TEXT
cat > content/posts/first.md <<'TEXT'
---
title: The first page
date: 2024-01-01
tags: [tea]
---
Put the kettle on.
TEXT
cat > assets/main.scss <<'TEXT'
$leaf: #264;
body { font: 18px/1.5 serif; margin: 1em auto; max-width: 40em; padding: 0 1em; a { color: $leaf; &:hover { color: lighten($leaf, 20%); } } }
TEXT
cat > layouts/_default/baseof.html <<'TEXT'
<!DOCTYPE html>
<html lang="{{ site.LanguageCode }}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ .Title }}</title>
<link rel="icon" href="data:,">
<link rel="alternate" type="application/rss+xml" href="/index.xml">
{{ with resources.Get "main.scss" | toCSS | minify | fingerprint }}<link rel="stylesheet" href="{{ .RelPermalink }}">{{ end }}
<p><a href="/">{{ site.Title }}</a> <a href="/posts/">All pages</a> <a href="/tags/">Tags</a>
{{ block "main" . }}{{ end }}
TEXT
cat > layouts/_default/list.html <<'TEXT'
{{ define "main" }}<h1>{{ .Title }}</h1>
{{ .Content }}
<ul>{{ range .Pages }}<li><a href="{{ .RelPermalink }}">{{ .Title }}</a> {{ with .Date }}{{ if not .IsZero }}{{ .Format "2006-01-02" }}{{ end }}{{ end }}</li>{{ end }}</ul>{{ end }}
TEXT
cat > layouts/_default/single.html <<'TEXT'
{{ define "main" }}<h1>{{ .Title }}</h1>
{{ if .Params.toc }}{{ .TableOfContents }}{{ end }}
{{ .Content }}
{{ with .Resources.GetMatch "*.png" }}{{ with .Resize "40x webp" }}<img src="{{ .RelPermalink }}" alt="">{{ end }}{{ end }}
<p>{{ range .GetTerms "tags" }}<a href="{{ .RelPermalink }}">{{ .Title }}</a> {{ end }}{{ end }}
TEXT
cat > layouts/404.html <<'TEXT'
{{ define "main" }}<h1>There is no such page.</h1>{{ end }}
TEXT
