//! How much of an app its exercise reaches.

use std::fs;

use serde_json::{Value, json};
use tinyroot::testing::{Deb, deb};

use super::{
    support::{assert_says, end, text},
    traced_app::{TracedApp, with_code},
};

/// Serves the wiki: each of its pages is a script.
const PAGES: &str = r#"
    if ($path =~ m{^/(\w+/)?(\w+\.pl)?$}) {
        my $script = "/usr/share/wiki" . ($path eq "/" ? "/index.pl" : $path);
        my $html = -e $script ? do $script : undef;
        print C defined $html ? "HTTP/1.0 200 OK" : "HTTP/1.0 404 Not Found";
        print C "\r\nContent-Type: text/html\r\n\r\n<title>Wiki</title>" . ($html // "nothing there");
        close C;
        next;
    }"#;

const INDEX: &str = r#"
my $text = "";
for my $file ("lang/de/text", "templates/page.html") {
    open(my $in, "<", "/usr/share/wiki/$file") or die;
    $text .= <$in>;
}
"$text<a href=/view.pl>view</a> <a href='/edit.pl?page=start'>edit</a> <form action=/save.pl method=post>
<input type=hidden name=token value=x><input name=text></form>";
"#;

/// The exercise reaches two of five scripts; a third is linked from the first page.
const STEPS: &str = "[[exercise]]\nget = \"/\"\ncontains = \"Hallo\"\n\
                     [[exercise]]\nget = \"/view.pl\"\ncontains = \"viewed\"\n";

fn wiki() -> Deb {
    let long = |text: &str, bytes: usize| format!("{text}\n{}", "#".repeat(bytes - text.len() - 1));
    let mut wiki = deb("wiki").field("Essential", "yes");
    for (at, text) in [
        ("index.pl", INDEX.to_owned()),
        ("view.pl", long("'viewed'", 100)),
        ("edit.pl", long("'edited'", 300)),
        ("admin/roles.pl", long("'roles'", 1000)),
        ("admin/users.pl", long("'users'", 1000)),
        ("templates/page.html", long("<h1>page</h1>", 50)),
        ("images/logo.png", long("logo", 40)),
    ] {
        wiki = wiki.file(&format!("usr/share/wiki/{at}"), 0o644, text);
    }
    for code in ["de", "en", "es", "fr", "it"] {
        let text = if code == "de" { "Hallo\n".to_owned() } else { format!("{code}...\n") };
        wiki = wiki.file(&format!("usr/share/wiki/lang/{code}/text"), 0o644, text);
    }
    wiki
}

/// Returns of the row with a value: files reached, files that explored pages add, all files, and the same of bytes.
fn share(list: &Value, key: &str, value: &str) -> [u64; 6] {
    let mut all = list.as_array().expect("a list").iter();
    let row = all.find(|row| row[key] == value).unwrap_or_else(|| panic!("{value} is not in {list:#}"));
    numbers(row)
}

fn numbers(row: &Value) -> [u64; 6] {
    ["reached_files", "explored_files", "files", "reached_bytes", "explored_bytes", "bytes"]
        .map(|name| row[name].as_u64().expect("a number"))
}

fn document(traced: &TracedApp, args: &[&str]) -> Value {
    let ended = end(&mut traced.command(args));
    assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("is JSON")
}

#[test]
fn coverage_says_what_an_exercise_reaches_and_which_step_would_reach_more() {
    let recipe = with_code(PAGES).replacen("packages = [\"tea\"]", "packages = [\"wiki\"]", 1)
        + STEPS
        + "[prune]\nlocales = [\"*\"]\n";
    let Some(traced) = TracedApp::of(&recipe, |tea| vec![tea, wiki()]) else { return };
    let (folder, package) = (text(&traced.recipe), traced.home.path("wiki.spk"));
    traced.done(&["build", folder, "--output", text(&package)]);
    let found = document(&traced, &["check", folder, "--coverage", "--json"]);
    let coverage = &found["coverage"];

    let server = fs::metadata(traced.recipe.join("recipe.toml")).expect("is there").len();
    let index = INDEX.len() as u64;
    let perl = share(&coverage["languages"], "language", "perl");
    let code = perl[5] - index - 100 - 300 - 2000;
    assert!((1000..server).contains(&code), "the server of the recipe is the app's own, too: {code}");
    assert_eq!(perl[..5], [3, 1, 6, index + 100 + code, 300]);
    assert_eq!(share(&coverage["languages"], "language", "template"), [1, 0, 1, 50, 0, 50]);
    assert_eq!(share(&coverage["languages"], "language", "asset"), [0, 0, 1, 0, 0, 40]);
    assert_eq!(share(&coverage["languages"], "language", "translation"), [1, 0, 5, 6, 0, 30]);
    assert_eq!(coverage["languages"].as_array().expect("a list").len(), 4);
    let all = perl[5] + 50 + 40 + 30;
    assert_eq!(numbers(&coverage["total"]), [5, 1, 13, index + 156 + code, 300, all]);
    assert_eq!(share(&coverage["directories"], "path", "/usr/share/wiki/admin"), [0, 0, 2, 0, 0, 2000]);
    assert_eq!(share(&coverage["locales"], "locale", "de"), [1, 0, 1, 6, 0, 6]);
    assert_eq!(share(&coverage["locales"], "locale", "fr"), [0, 0, 1, 0, 0, 6]);
    // The cup, and of the wiki two scripts, a template and a translation.
    assert_eq!(
        (&coverage["services"][0]["service"], &coverage["services"][0]["files_in_steps"]),
        (&json!("web"), &json!(5))
    );
    assert_eq!(
        coverage["links"],
        json!({"found": 2, "requested": 1, "kinds": 2, "kinds_requested": 1, "not_requested": ["/edit.pl?page=start"]})
    );
    assert_eq!(
        coverage["forms"],
        json!([{"path": "/save.pl", "method": "POST", "fields": ["text", "token"], "page": "/", "is_sent": false}])
    );
    assert_eq!((&coverage["explored"], &coverage["not_explored"]), (&json!(2), &json!(0)));
    let parts: Vec<(&str, u64)> = coverage["unreached"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|part| (part["path"].as_str().expect("text"), part["bytes"].as_u64().expect("a number")))
        .collect();
    assert_eq!(
        parts,
        [("/usr/share/wiki/admin/", 2000), ("/usr/share/wiki/edit.pl", 300), ("/usr/share/wiki/images/", 40)]
    );
    assert_eq!(coverage["unreached"][0]["step"], Value::Null);
    let step = coverage["unreached"][1]["step"]["toml"].as_str().expect("a step");
    assert_eq!(step, "[[exercise]]\nget = \"/edit.pl?page=start\"\n");

    // A package alone says the same, and its page shows it.
    let of_package = document(&traced, &["check", text(&package), "--coverage", "--json"]);
    assert_eq!(&of_package["coverage"], coverage);
    let reached = traced.home.path("reached.json");
    fs::write(&reached, of_package.to_string()).expect("writes");
    let page = ["inspect", text(&package), "--format", "html", "--coverage", text(&reached)];
    assert_says(
        &traced.home.done(&page).stdout,
        &[
            "reached 5 of 13 files of the app",
            "Coverage: by language",
            "/usr/share/wiki/admin/",
            "/edit.pl?page=start",
        ],
    );
    let refused = traced.home.run(&["inspect", text(&package), "--coverage", text(&reached)]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert_says(&refused.stderr, &["--format html"]);

    // The step that it proposes raises the numbers.
    fs::write(traced.recipe.join("recipe.toml"), recipe.replacen(STEPS, &format!("{STEPS}{step}"), 1))
        .expect("writes");
    let ended = end(&mut traced.command(&["check", folder, "--coverage"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_says(
        &ended.stdout,
        &[
            "4 steps, compared with the full root; 0 pruned paths requested\n",
            "\ncoverage of tea: what the exercise reached, and what 1 pages that it links to would add\n",
            "  Perl                         4 of     6 files ",
            "  service web: first to use ",
            "  links: 2 of 2 requested, 2 of 2 kinds; 0 pages not explored\n  forms: 0 of 1 sent\n    not POST /save.pl (text, token) of /\n",
            "  languages: read de; not read en es fr it\n",
            "\nlargest parts that the exercise did not reach\n     2.0 kB 2 files, Perl  /usr/share/wiki/admin/\n       40 B 1 file, scripts, styles, images  /usr/share/wiki/images/\n",
        ],
    );
    let again = document(&traced, &["check", folder, "--coverage", "--json"]);
    assert_eq!(share(&again["coverage"]["languages"], "language", "perl")[..2], [4, 0]);
    // What is known of a package is not shown of another one.
    fs::write(&reached, again.to_string()).expect("writes");
    assert_says(&traced.home.fails(&page), &["reached.json is of another package"]);
}
