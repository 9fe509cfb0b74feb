//! The developer's own browser, opened at a URL.

use std::{
    env,
    ffi::OsString,
    process::{Command, Stdio},
    thread,
};

/// Opens a URL in the user's browser: by `$BROWSER` (commands separated by colons, `%s` for the URL), or, in
/// a graphical session, by xdg-open(1) of xdg-utils. Where there is neither, or it fails, the URL that was
/// printed has to do.
pub(super) fn open(url: &str) {
    let named = env::var_os("BROWSER").filter(|named| !named.is_empty());
    let session = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some());
    let commands = match named {
        Some(named) => commands(&named.to_string_lossy(), url),
        None if session => vec![vec!["xdg-open".to_owned(), url.to_owned()]],
        None => return,
    };
    for words in commands {
        let [program, arguments @ ..] = &words[..] else { continue };
        let mut command = Command::new(OsString::from(program));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Ok(mut child) = command.spawn() {
            // Some stay for as long as their window does.
            let _ = thread::Builder::new().name("browser".into()).spawn(move || child.wait());
            return;
        }
    }
}

/// Splits what `$BROWSER` says into commands of words.
fn commands(named: &str, url: &str) -> Vec<Vec<String>> {
    let command = |text: &str| {
        let mut words: Vec<String> =
            text.split_ascii_whitespace().map(|word| word.replace("%s", url)).collect();
        if !text.contains("%s") {
            words.push(url.to_owned());
        }
        words
    };
    named.split(':').filter(|text| !text.trim().is_empty()).map(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_names_commands() {
        let words = |named| commands(named, "http://h/");
        assert_eq!(words("firefox"), [["firefox", "http://h/"]]);
        assert_eq!(
            words("a --new %s::b -x"),
            [vec!["a", "--new", "http://h/"], vec!["b", "-x", "http://h/"]]
        );
        assert!(words(" : ").is_empty());
    }
}
