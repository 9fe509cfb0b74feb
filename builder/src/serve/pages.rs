//! The pages as HTML, and the same as JSON. Everything that is not written here is escaped; all of it works without a script,
//! which only keeps it fresh.

use std::{fs, sync::Arc};

use serde_json::{Value, json};

use super::{
    Served, Server,
    handle::{Live, Status},
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

fn rows(server: &Server, app: &Served) -> String {
    let lives = of_app(server, app);
    if lives.is_empty() {
        return format!("<p>There is no {} yet.</p>", escaped(&app.noun));
    }
    let mut rows = String::new();
    for live in lives {
        let kept = live.kept();
        let (state, _) = state_of(&live);
        let missed = read_report(&live.misses_path()).unwrap_or_default();
        let missed = missed.iter().filter(|reported| !reported.miss.is_listing()).count();
        let missed = if missed == 0 { String::new() } else { format!("{missed} missed") };
        let stop = if live.is_stopped() { String::new() } else { button(&live, "stop", "Stop", BACK) };
        rows += &format!(
            "<tr><td>{}<td><a href=\"/grain/{}\">{}</a><td>{state}<td>{missed}<td>{stop}</tr>\n",
            button(&live, "open", "Open", ""),
            live.host,
            escaped(kept.title()),
        );
    }
    format!("<table>{rows}</table>")
}

const BACK: &str = "<input type=\"hidden\" name=\"back\" value=\"/\">";

fn of_app(server: &Server, app: &Served) -> Vec<Arc<Live>> {
    let mut lives: Vec<_> =
        server.lives().values().filter(|live| live.app.app_id == app.app_id).cloned().collect();
    lives.sort_by_key(|live| live.kept().name);
    lives
}

fn button(live: &Live, word: &str, text: &str, more: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/grain/{}/{word}\">{more}<button>{text}</button></form>",
        live.host
    )
}

/// What a grain does, in a word, and why it does not run.
fn state_of(live: &Live) -> (&'static str, Option<String>) {
    match live.status() {
        Status::Stopped(why) => ("stopped", why),
        Status::Starting(_) => ("starting", None),
        Status::Running(_) => ("running", None),
        Status::Stopping => ("stopping", None),
    }
}

/// One grain: what it does, what it missed, what it printed.
pub(super) fn grain(server: &Server, live: &Live) -> String {
    let kept = live.kept();
    let (state, why) = state_of(live);
    let why = why.map(|why| format!("<p class=\"why\">{}</p>\n", escaped(&why))).unwrap_or_default();
    let stop = if live.is_stopped() { String::new() } else { button(live, "stop", "Stop", "") };
    let title = escaped(kept.title());
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
        app = escaped(&live.app.title),
        version = escaped(&live.app.version),
        size = kept.size_at_a_glance(),
        open = button(live, "open", "Open", ""),
        misses = misses(server, live),
        log = escaped(&log_end(live)),
        noun = escaped(&live.app.noun),
        host = live.host,
    );
    page(kept.title(), &main)
}

fn misses(server: &Server, live: &Live) -> String {
    let path = live.misses_path();
    let mut out = "<h3>What it asked for and does not have</h3>\n".to_owned();
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
    let used = used_list(live);
    let mut left = 0;
    let mut rows = String::new();
    for Reported { miss, time } in reported {
        let shown = escaped(&format!("/{}", miss.path));
        let kinds = used.as_ref().map(|used| used.kinds(miss.path.as_bytes())).unwrap_or_default();
        let taken = if miss.is_write() { kinds.contains(Kinds::WRITTEN) } else { !kinds.is_empty() };
        let field = format!("<input type=\"hidden\" name=\"path\" value=\"{shown}\">");
        let shown = if miss.is_write() { shown + " (written, but shipped read-only)" } else { shown };
        let click = match (&live.app.recipe, taken) {
            (None, _) => String::new(),
            (_, true) => "in used.list".to_owned(),
            (_, false) => {
                left += 1;
                button(live, "take", "Take into used.list", &field)
            }
        };
        let package = escaped(miss.package.as_deref().unwrap_or("none"));
        let program = escaped(&miss.program);
        rows += &format!("<tr><td>{shown}<td>{package}<td>{program}<td>{time}<td>{click}</tr>\n");
    }
    out += &format!(
        "<table><thead><tr><th>path<th>package<th>program<th>first asked for<th></tr></thead>\n{rows}</table>\n"
    );
    match &live.app.recipe {
        Some(_) if left > 0 => out += &button(live, "take", "Take all into used.list", ""),
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

fn used_list(live: &Live) -> Option<UsedList> {
    UsedList::read(&recipe::read(live.app.recipe.as_ref()?).ok()?.used_path()).ok()
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./+:@%,".contains(letter);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn log_end(live: &Live) -> String {
    let log = fs::read(live.kept().directory.join("log")).unwrap_or_default();
    let end = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_BYTES)..]).into_owned();
    let lines: Vec<&str> = end.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// What could not be done.
pub(super) fn failure(why: &str) -> String {
    page(
        "tinyroot",
        &format!("<p><a href=\"/\">All grains</a></p>\n<pre class=\"why\">{}</pre>", escaped(why)),
    )
}

/// All apps and their grains, for scripts.
pub(super) fn state(server: &Server) -> Value {
    let apps = server.apps.iter().map(|app| {
        let grains = of_app(server, app).into_iter().map(|live| {
            let kept = live.kept();
            let (state, why) = state_of(&live);
            let misses = read_report(&live.misses_path()).unwrap_or_default();
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
                "name": kept.name,
                "title": kept.title(),
                "host": live.host,
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
