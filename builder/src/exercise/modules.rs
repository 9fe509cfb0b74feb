//! Scripts that are modules: what they import whatever happens (ECMAScript, "Modules").
//!
//! `import(…)` in the course of a program is passed over, as nothing here runs a program; so are bare names,
//! which only an import map explains.

use std::sync::LazyLock;

use regex::Regex;

use super::found::{Found, Role, Want};

/// `import "…"`, `import … from "…"`, `export … from "…"`, also as minifiers write them.
static IMPORT: LazyLock<Regex> = LazyLock::new(|| {
    let clause = r#"(?:import|(?:import|export)\b[^"'`;()=]*?\bfrom)"#;
    let pattern = format!(r#"(?:^|[;}}\s/]){clause}\s*["']((?:\.{{0,2}}/|https?://)[^"'\s]+)["']"#);
    Regex::new(&pattern).expect("is a good pattern")
});

/// Returns the addresses that a module imports, in their order.
pub(super) fn read(script: &str) -> Vec<Found> {
    let imports = IMPORT.captures_iter(script).filter_map(|groups| groups.get(1));
    imports
        .map(|address| Found {
            address: address.as_str().to_owned(),
            role: Role::Load(Want::Module),
            line: 1 + memchr::memchr_iter(b'\n', &script.as_bytes()[..address.start()]).count(),
            element: "import".to_owned(),
            is_idle: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_of_a_module_are_found() {
        let script = "import './a.js';\nimport b, {c as d} from \"../b.js\"\nexport * from '/c.js';import{e}from\"./e.js\";\
            export {f} from './f.js'\nconst x = './no.js'; import('./no.js'); export const y = './no.js'\n\
            import z from 'bare'; import 'https://cdn.example/g.js'";
        let shown: Vec<String> =
            read(script).iter().map(|found| format!("{} {}", found.line, found.address)).collect();
        assert_eq!(
            shown,
            ["1 ./a.js", "2 ../b.js", "3 /c.js", "3 ./e.js", "3 ./f.js", "5 https://cdn.example/g.js"]
        );
    }
}
