//! The configuration of the first process: `/tinyroot/services`.
//!
//! Lines of words, one space between words, each line ended by a newline. In a word, a byte that
//! is not printable ASCII, a space or a backslash stands as `\xHH`; an empty word is `\e`. Unknown
//! first words are refused: a first process reads only what was written with it, in one artifact.
//!
//! ```text
//! tinyroot-services 1
//! port 8000                                 the web port, for `ready http` and $PORT
//! env PATH=/usr/sbin:/usr/bin               before `setup` and the first `service`: for all of them
//! directory /run/php                        made at each start
//! setup                                     once per grain; what follows is about it
//! command /bin/sh /app/setup.sh
//! env NAME=VALUE
//! timeout 120                               seconds
//! service php                               what follows is about this service
//! command /usr/sbin/php-fpm8.2 -F
//! ready socket /run/php.sock                or: port N, http PATH, file PATH; left out: at once
//! timeout 60
//! stop-signal 2                             number; left out: 15
//! stop-timeout 60                           seconds; left out: 10, and 20 for all services without
//! ```

use std::{collections::BTreeMap, fmt::Write as _};

use crate::recipe::{Ready, Recipe, SIGTERM};

/// Environment that every grain has unless its recipe says otherwise.
const DEFAULT_ENV: [(&str, &str); 5] = [
    ("HOME", "/var"),
    ("LANG", "C.UTF-8"),
    ("LOGNAME", "app"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("USER", "app"),
];

/// Returns the environment that all programs of a grain share.
pub fn environment(recipe: &Recipe) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> =
        DEFAULT_ENV.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    if let Some(web) = &recipe.web {
        env.insert("PORT".to_owned(), web.port.to_string());
    }
    env.extend(recipe.env.clone());
    env
}

/// Returns the text for a recipe.
pub fn encode(recipe: &Recipe) -> String {
    let mut out = String::from("tinyroot-services 1\n");
    if let Some(web) = &recipe.web {
        let _ = writeln!(out, "port {}", web.port);
    }
    write_env(&mut out, &environment(recipe));
    for directory in fresh_directories(recipe) {
        write_words(&mut out, "directory", [&directory]);
    }
    if let Some(setup) = &recipe.setup {
        out += "setup\n";
        write_words(&mut out, "command", &setup.command);
        write_env(&mut out, &setup.env);
        let _ = writeln!(out, "timeout {}", setup.timeout_s);
    }
    for service in &recipe.services {
        write_words(&mut out, "service", [&service.name]);
        write_words(&mut out, "command", &service.command);
        write_env(&mut out, &service.env);
        match &service.ready {
            Ready::Started => {}
            Ready::Socket(path) => write_words(&mut out, "ready socket", [path]),
            Ready::Http(path) => write_words(&mut out, "ready http", [path]),
            Ready::Port(port) => write_words(&mut out, "ready port", [&port.to_string()]),
            Ready::File(path) => write_words(&mut out, "ready file", [path]),
        }
        let _ = writeln!(out, "timeout {}", service.timeout_s);
        if service.stop_signal != SIGTERM {
            let _ = writeln!(out, "stop-signal {}", service.stop_signal);
        }
        if let Some(seconds) = service.stop_timeout_s {
            let _ = writeln!(out, "stop-timeout {seconds}");
        }
    }
    out
}

/// Returns how many seconds the first process may take to stop all services: 20 for all that have no
/// `stop_timeout_s`, 10 for what they left behind, and what the others name.
pub fn stop_limit_s(recipe: &Recipe) -> u64 {
    30 + recipe.services.iter().filter_map(|service| service.stop_timeout_s).map(u64::from).sum::<u64>()
}

/// Returns the `[[file]]` directories below `/run` and `/tmp`, which are new at each start of a grain.
fn fresh_directories(recipe: &Recipe) -> impl Iterator<Item = String> {
    let fresh = recipe.files.iter().filter(|file| file.is_made_at_start());
    fresh.map(|file| format!("/{}", String::from_utf8_lossy(file.path.as_bytes())))
}

fn write_env(out: &mut String, env: &BTreeMap<String, String>) {
    for (name, value) in env {
        write_words(out, "env", [&format!("{name}={value}")]);
    }
}

fn write_words<'a>(out: &mut String, first: &str, words: impl IntoIterator<Item = &'a String>) {
    *out += first;
    for word in words {
        out.push(' ');
        escape(out, word.as_bytes());
    }
    out.push('\n');
}

/// Appends one word in the escaped form.
pub(super) fn escape(out: &mut String, word: &[u8]) {
    if word.is_empty() {
        *out += "\\e";
    }
    for byte in word {
        match byte {
            b'!'..=b'~' if *byte != b'\\' => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
}
