use super::*;

/// A root with an app that requires package `one` when it starts.
fn root() -> Root {
    let mut root = Root::new();
    root.policy.imports_bytes = 2000;
    root.policy.app_packages.insert("app".to_owned());
    let files: &[(&str, &str)] = &[
        ("usr/bin/node", "-"),
        ("usr/share/nodejs/one/package.json", r#"{"main":"./lib/main"}"#),
        ("usr/share/nodejs/one/lib/main.js", "function f() { require('two') }"),
        (
            "usr/share/nodejs/two/index.js",
            "module.exports = require('./near'); function f() { require('endless') }",
        ),
        ("usr/share/nodejs/two/near.json", "{}"),
        ("usr/share/nodejs/two/unnamed.js", ""),
        ("usr/share/nodejs/endless/index.js", ""),
        (
            "usr/share/nodejs/@x/y/package.json",
            r#"{"exports":{".":{"import":"./y.mjs"},"./z":"./in/z.cjs"}}"#,
        ),
        ("usr/share/nodejs/@x/y/y.mjs", "export * from './deep.mjs';"),
        ("usr/share/nodejs/@x/y/deep.mjs", ""),
        ("usr/share/nodejs/@x/y/in/z.cjs", ""),
        ("usr/share/nodejs/single.js", ""),
        ("usr/share/nodejs/events/index.js", ""),
        ("usr/share/app/node_modules/own/index.js", ""),
        ("usr/share/nodejs/own/index.js", ""),
    ];
    for (name, text) in files {
        root.file("lib", name, text.as_bytes());
    }
    root.used("usr/bin/node", "executed").used("usr/share/nodejs/one/lib/main.js", "opened").file(
        "app",
        "usr/share/app/server/index.js",
        b"require('one'); require('events'); require('node:fs');\nfunction f() { return require('single') }\n\
          try { require('@x/y/z') } catch (e) { }\nasync function g() { await import('@x/y') }\n\
          // require('unnamed')\nlet own = require.resolve('own');",
    );
    root
}

#[test]
fn modules_that_kept_node_code_names_are_kept_at_any_depth() {
    let late = "keep imports: imported in a function of";
    let app = "/usr/share/app/server/index.js";
    root().expect(&[
        ("usr/share/nodejs/two/index.js", &format!("{late} /usr/share/nodejs/one/lib/main.js")),
        ("usr/share/nodejs/two/near.json", "keep imports: imported by /usr/share/nodejs/two/index.js"),
        ("usr/share/nodejs/two/unnamed.js", "- unused: nothing asked for it"),
        ("usr/share/nodejs/endless/index.js", "- unused: nothing asked for it"),
        ("usr/share/nodejs/single.js", &format!("{late} {app}")),
        ("usr/share/nodejs/@x/y/y.mjs", &format!("{late} {app}")),
        ("usr/share/nodejs/@x/y/deep.mjs", "keep imports: imported by /usr/share/nodejs/@x/y/y.mjs"),
        ("usr/share/nodejs/@x/y/in/z.cjs", &format!("keep imports: imported where it is there by {app}")),
        (
            "usr/share/nodejs/@x/y/package.json",
            "keep node: the package.json of /usr/share/nodejs/@x/y/in/z.cjs",
        ),
        ("usr/share/nodejs/events/index.js", "- unused: nothing asked for it"),
        ("usr/share/app/node_modules/own/index.js", &format!("keep imports: imported by {app}")),
        ("usr/share/nodejs/own/index.js", "- unused: nothing asked for it"),
    ]);
}

#[test]
fn scripts_for_browsers_keep_nothing_where_no_node_runs() {
    let mut root = root();
    root.evidence.clear();
    root.expect(&[("usr/share/nodejs/single.js", "- unused: nothing asked for it")]);
}
