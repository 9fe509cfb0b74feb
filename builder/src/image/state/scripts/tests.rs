use std::fmt::Write as _;

use super::*;

fn expect(rows: &[(&str, &[&str])]) {
    for (script, expected) in rows {
        assert_eq!(given(script), *expected, "{script}");
    }
}

#[test]
fn paths_that_a_script_gives_away_are_found() {
    expect(&[
        ("chown www-data:www-data /var/lib/tea", &["/var/lib/tea"]),
        ("chown -R -h www-data /var/lib/tea /var/cache/tea", &["/var/lib/tea", "/var/cache/tea"]),
        ("chown root:www-data /var/lib/tea", &[]),
        ("chown :tea /var/lib/tea; chown 0:0 /var/lib/tea", &[]),
        ("chown tea /etc/tea", &[]),
        (
            "D=/var/lib\nif true; then chown tea: \"$D/tea\" \\\n  ${D}/pot; fi",
            &["/var/lib/tea", "/var/lib/pot"],
        ),
        ("chown tea $UNKNOWN/tea && chown tea '/var/lib/a b'", &["/var/lib/a b"]),
        ("# chown tea /var/lib/no\n[ -d /x ] || chown tea /var/lib/tea/*", &["/var/lib/tea/*"]),
        ("install -d -o tea -g tea -m 0750 /var/lib/tea", &["/var/lib/tea"]),
        ("install -d --owner=root /var/lib/tea; install -otea x /var/lib/pot", &["/var/lib/pot"]),
        (
            "find /var/lib/tea /var/log/tea -type d -exec chown -h tea:tea {} +",
            &["/var/lib/tea", "/var/log/tea"],
        ),
        ("find /var/lib/tea -exec chown root {} \\;", &[]),
        ("echo 'chown tea /var/lib/tea'", &[]),
        ("$D chown ${ \" '", &[]),
    ]);
}

#[test]
fn loops_over_words_are_followed() {
    expect(&[
        (
            "for d in a 'b c' /x; do chown www-data /var/lib/$d; done",
            &["/var/lib/a", "/var/lib/b", "/var/lib//x"],
        ),
        ("for d in a 'b c'\ndo\n  chown www-data \"/var/lib/$d\"\ndone", &["/var/lib/a", "/var/lib/b c"]),
        (
            "DIRS='lib cache'\nfor d in $DIRS; do for n in tea pot; do chown www-data \"/var/$d/$n\"; done; done",
            &["/var/lib/tea", "/var/lib/pot", "/var/cache/tea", "/var/cache/pot"],
        ),
        (
            "for d in \"lib cache\"; do chown tea \"/var/$d\"; done; chown tea /var/z",
            &["/var/lib cache", "/var/z"],
        ),
        ("for d in /var/lib/tea/*; do [ -d \"$d\" ] && chown tea \"$d\"; done", &["/var/lib/tea/*"]),
        ("for d in $(ls); do chown tea $d; done; chown tea /var/a", &["/var/a"]),
        ("for d in x; do chown tea /var/$d", &[]),
        ("while read d; do chown tea /var/a; done", &["/var/a"]),
    ]);
}

#[test]
fn functions_are_followed_where_they_are_called() {
    expect(&[
        ("give() { chown \"$2\" \"/var/lib/$1\"; }\ngive pot tea\ngive cup root", &["/var/lib/pot"]),
        (
            "give () {\n  local dir=\"$1\"\n  shift\n  for u in \"$@\"; do install -d -o $u \"$dir/$u\"; done\n}\nif x; then give /var/lib a 'b c'; fi",
            &["/var/lib/a", "/var/lib/b c"],
        ),
        (
            "D=/var/lib\nf() { D=/var/cache; chown tea $D/x; }\nf\nchown tea $D/y",
            &["/var/cache/x", "/var/cache/x", "/var/lib/y"],
        ),
        ("never() { chown tea /var/lib/tea; }", &["/var/lib/tea"]),
        ("f() { g $1; }; g() { chown tea /var/$1; }; f lib", &["/var/lib"]),
        ("f() { f $1; chown tea /var/$1; }; chown tea /var/a", &["/var/a"]),
        ("D=${TEA_DIR:-/var/lib/tea}; chown tea ${D}/x \"${E-/var/y}\"", &["/var/lib/tea/x", "/var/y"]),
    ]);
}

#[test]
fn here_documents_and_odd_text_hide_nothing() {
    expect(&[
        ("cat > /etc/x <<EOF | sort\nchown tea /var/no\ndon't\nEOF\nchown tea /var/yes", &["/var/yes"]),
        ("cat <<- 'E'\n\tit's $x\n\tE\nchown tea /var/yes", &["/var/yes"]),
        ("cat <<EOF\nchown tea /var/yes", &["/var/yes"]),
        (
            "cat <<A <<B; x <<A\n$no\nA\nchown tea /var/no\nB\nchown tea /var/no\nA\nchown tea /var/yes",
            &["/var/yes"],
        ),
        ("\u{1}chown\u{2} tea /var/\u{3}yes", &["/var/yes"]),
        ("chown tea '/var/$x' /var/\\$y", &[]),
        ("}\ndone\n) f() f() {\nfor\nfor x\ndo\nchown tea /var/yes", &["/var/yes"]),
    ]);
}

#[test]
fn a_script_that_grows_without_end_ends() {
    let mut doubles = String::from("A=/var/lib/aaaaaaaaaaaaaaaa\n");
    for _ in 0..200 {
        doubles += "A=$A$A\n";
    }
    assert_eq!(given(&(doubles + "chown tea $A; chown tea /var/z")), ["/var/z"]);
    let mut loops = String::new();
    for depth in 0..10 {
        write!(loops, "for v{depth} in 0 1 2 3 4 5 6 7 8 9; do ").expect("writes");
    }
    assert!(given(&(loops + "x; " + &"done; ".repeat(10))).is_empty());
    let unclosed = "for x in a; do f() {\n".repeat(20_000);
    assert!(given(&unclosed).is_empty());
    assert!(given("f() { f \"$@\" \"$@\"; f \"$@\" \"$@\"; }\nf a b c").is_empty());
    let names: String = (0..20_000).map(|n| format!("v{n}=x\nf{n}() {{ g; }}\n")).collect();
    assert!(given(&names).is_empty());
    let documents: String = (0..50_000).map(|n| format!("<<A{n}\n")).collect();
    assert_eq!(given(&(documents + "chown tea /var/z")), ["/var/z"]);
    assert_eq!(given(&("do ".repeat(50_000) + "chown tea /var/z")), ["/var/z"]);
    assert!(given(&"${".repeat(200_000)).is_empty());
}
