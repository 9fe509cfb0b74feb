//! The pages as HTML, and the same as JSON. Every text from outside is escaped. The pages work without a
//! script, which only refreshes them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    ServedApp, Server,
    handle::{GrainHandle, Status},
};
use crate::{
    evidence::{Kinds, Reported, UsedList, read_report, unseen},
    progress::size_text,
    recipe,
    web::escaped,
};

/// Lines of a log that are shown.
const LOG_LINES: usize = 40;

/// How much of the end of a log is read for them.
const LOG_BYTES: usize = 16 << 10;

fn page(title: &str, main: &str) -> String {
    include_str!("pages/page.html").replace("{title}", &escaped(title)).replace("{main}", main)
}

/// All apps and their grains.
pub(super) fn list(server: &Server) -> String {
    let mut main = String::new();
    for app in &server.apps {
        main += &format!(
            "<section><h2>{}</h2>\n<p class=\"about\">{}, {}</p>\n{}\n\
             <form method=\"post\" action=\"/new\"><input type=\"hidden\" name=\"app\" value=\"{}\">\
             <input name=\"title\" maxlength=\"200\" placeholder=\"title\" aria-label=\"title\"> \
             <button>New {}</button></form></section>\n",
            escaped(&app.title),
            escaped(&app.version),
            size_text(app.size_bytes),
            rows(server, app),
            app.app_id,
            escaped(&app.noun),
        );
    }
    page("tinyroot", &main)
}

fn rows(server: &Server, app: &ServedApp) -> String {
    let handles = of_app(server, app);
    if handles.is_empty() {
        return format!("<p>There is no {} yet.</p>", escaped(&app.noun));
    }
    let mut rows = String::new();
    for handle in handles {
        let stored = handle.stored();
        let (state, _) = state_of(&handle);
        let missed = read_report(&handle.misses_path()).unwrap_or_default();
        let missed = missed.iter().filter(|reported| !reported.miss.is_listing()).count();
        let missed = if missed == 0 { String::new() } else { format!("{missed} missed") };
        let stop = if handle.is_stopped() { String::new() } else { button(&handle, "stop", "Stop", BACK) };
        rows += &format!(
            "<tr><td>{}<td><a href=\"/grain/{}\">{}</a><td>{state}<td>{missed}<td>{stop}</tr>\n",
            button(&handle, "open", "Open", ""),
            handle.host,
            escaped(stored.title()),
        );
    }
    format!("<table>{rows}</table>")
}

const BACK: &str = "<input type=\"hidden\" name=\"back\" value=\"/\">";

fn of_app(server: &Server, app: &ServedApp) -> Vec<Arc<GrainHandle>> {
    let mut handles: Vec<_> =
        server.handles().values().filter(|handle| handle.app.app_id == app.app_id).cloned().collect();
    handles.sort_by_key(|handle| handle.stored().name);
    handles
}

fn button(handle: &GrainHandle, word: &str, text: &str, more: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/grain/{}/{word}\">{more}<button>{text}</button></form>",
        handle.host
    )
}

/// Returns the state of a grain as a word, and the reason if it stopped by itself.
fn state_of(handle: &GrainHandle) -> (&'static str, Option<String>) {
    match handle.status() {
        Status::Stopped(why) => ("stopped", why),
        Status::Starting(_) => ("starting", None),
        Status::Running(_) => ("running", None),
        Status::Stopping => ("stopping", None),
    }
}

/// One grain: its state, its misses, its log.
pub(super) fn grain(server: &Server, handle: &GrainHandle) -> String {
    let stored = handle.stored();
    let (state, why) = state_of(handle);
    let why = why.map(|why| format!("<p class=\"why\">{}</p>\n", escaped(&why))).unwrap_or_default();
    let stop = if handle.is_stopped() { String::new() } else { button(handle, "stop", "Stop", "") };
    let title = escaped(stored.title());
    let main = format!(
        "<p><a href=\"/\">All grains</a></p>\n<h2>{title}</h2>\n\
         <p class=\"about\">{app} {version}, {state}, {size} of data</p>\n{why}\
         <div class=\"line\">{open}{stop}</div>\n{misses}\n\
         <h3>Log</h3>\n<pre>{log}</pre>\n\
         <h3>This {noun}</h3>\n\
         <form method=\"post\" action=\"/grain/{host}/rename\"><input name=\"title\" maxlength=\"200\" value=\"{title}\" \
         aria-label=\"title\"> <button>Rename</button></form>\n\
         <form method=\"post\" action=\"/grain/{host}/remove\"><label><input type=\"checkbox\" name=\"sure\" value=\"yes\"> \
         with all its data</label> <button>Remove</button></form>\n",
        app = escaped(&handle.app.title),
        version = escaped(&handle.app.version),
        size = stored.size_at_a_glance(),
        open = button(handle, "open", "Open", ""),
        misses = misses(server, handle),
        log = escaped(&log_end(handle)),
        noun = escaped(&handle.app.noun),
        host = handle.host,
    );
    page(stored.title(), &main)
}

fn misses(server: &Server, handle: &GrainHandle) -> String {
    let path = handle.misses_path();
    let mut out = "<h3>Pruned paths that it requested</h3>\n".to_owned();
    if let Some(why) = &server.unseen {
        out += &format!("<p class=\"why\">{}</p>\n", escaped(&unseen(why)));
    }
    let reported = match read_report(&path) {
        Ok(reported) => reported,
        Err(_) if !path.exists() => return out + "<p>Nothing that was pruned, so far.</p>",
        Err(error) => return out + &format!("<p class=\"why\">{}</p>", escaped(&error.to_string())),
    };
    let (listed, reported): (Vec<_>, Vec<_>) =
        reported.into_iter().partition(|reported| reported.miss.is_listing());
    let listed: Vec<String> =
        listed.iter().map(|reported| format!("<li>{}", escaped(&reported.miss.to_string()))).collect();
    if !listed.is_empty() {
        let listed = listed.join("\n");
        out += &format!(
            "<details><summary>Directories that it listed without their pruned names: what is not listed may never be asked \
             for</summary>\n<ul>{listed}</ul></details>\n"
        );
    }
    if reported.is_empty() {
        return out + "<p>Nothing that was pruned, so far.</p>";
    }
    let used = used_list(handle);
    let mut left = 0;
    let mut rows = String::new();
    for Reported { miss, time } in reported {
        let shown = escaped(&format!("/{}", miss.path));
        let kinds = used.as_ref().map(|used| used.kinds(miss.path.as_bytes())).unwrap_or_default();
        let taken = if miss.is_write() { kinds.contains(Kinds::WRITTEN) } else { !kinds.is_empty() };
        let field = format!("<input type=\"hidden\" name=\"path\" value=\"{shown}\">");
        let shown = if miss.is_write() { shown + " (written, but shipped read-only)" } else { shown };
        let click = match (&handle.app.recipe, taken) {
            (None, _) => String::new(),
            (_, true) => "in used.list".to_owned(),
            (_, false) => {
                left += 1;
                button(handle, "take", "Take into used.list", &field)
            }
        };
        let package = escaped(miss.package.as_deref().unwrap_or("none"));
        let program = escaped(&miss.program);
        rows += &format!("<tr><td>{shown}<td>{package}<td>{program}<td>{time}<td>{click}</tr>\n");
    }
    out += &format!(
        "<table><thead><tr><th>path<th>package<th>program<th>first requested<th></tr></thead>\n{rows}</table>\n"
    );
    match &handle.app.recipe {
        Some(_) if left > 0 => out += &button(handle, "take", "Take all into used.list", ""),
        Some(folder) => {
            let folder = escaped(&quoted(&folder.display().to_string()));
            out += &format!("<p>To have them in the package: <code>tinyroot build {folder}</code></p>");
        }
        None => {
            let path = escaped(&quoted(&path.display().to_string()));
            out += &format!("<p>To have them: <code>tinyroot trace RECIPE --merge={path}</code></p>");
        }
    }
    out
}

fn used_list(handle: &GrainHandle) -> Option<UsedList> {
    UsedList::read(&recipe::read(handle.app.recipe.as_ref()?).ok()?.used_path()).ok()
}

/// A word, quoted for a shell where needed.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./+:@%,".contains(letter);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn log_end(handle: &GrainHandle) -> String {
    let log = crate::files::read(handle.stored().directory.join("log")).unwrap_or_default();
    let end = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_BYTES)..]).into_owned();
    let lines: Vec<&str> = end.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// An error.
pub(super) fn failure(why: &str) -> String {
    page(
        "tinyroot",
        &format!("<p><a href=\"/\">All grains</a></p>\n<pre class=\"why\">{}</pre>", escaped(why)),
    )
}

/// All apps and their grains, for scripts.
pub(super) fn state(server: &Server) -> Value {
    let apps = server.apps.iter().map(|app| {
        let grains = of_app(server, app).into_iter().map(|handle| {
            let stored = handle.stored();
            let (state, why) = state_of(&handle);
            let misses = read_report(&handle.misses_path()).unwrap_or_default();
            let misses = misses.iter().filter(|reported| !reported.miss.is_listing());
            let misses = misses.map(|Reported { miss, time }| {
                json!({
                    "path": format!("/{}", miss.path),
                    "package": miss.package,
                    "program": miss.program,
                    "time": time.to_string(),
                    "written": miss.is_write(),
                })
            });
            json!({
                "name": stored.name,
                "title": stored.title(),
                "host": handle.host,
                "state": state,
                "why": why,
                "misses": misses.collect::<Vec<_>>(),
            })
        });
        json!({
            "app_id": app.app_id.to_string(),
            "title": app.title,
            "version": app.version,
            "size_bytes": app.size_bytes,
            "grains": grains.collect::<Vec<_>>(),
        })
    });
    json!({ "apps": apps.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_is_text() {
        let shown = failure("<script>alert(\"x\")</script>");
        assert!(shown.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;"), "{shown}");
        assert!(!shown.contains("<script>"), "{shown}");
        assert!(page("<b>", "").contains("<title>&lt;b&gt;</title>"));
    }

    #[test]
    fn a_line_to_copy_holds_one_word_a_path() {
        for (word, expected) in
            [("/a/b-1.c", "/a/b-1.c"), ("/a b", "'/a b'"), ("/it's", r"'/it'\''s'"), ("$(x)", "'$(x)'")]
        {
            assert_eq!(quoted(word), expected);
        }
    }
}
