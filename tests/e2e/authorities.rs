//! An app is proven where `run` shows it and where `serve` does.

use std::fs;

use super::{
    support::{assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

const RUN: &str = "127.0.0.1:8765";
const SERVE: &str = "g-0123456789abcdef.localhost:6080";

/// Builds the kitchen's app, whose server does something more with each request: statements of Perl that know
/// `$host`, the header, and `C`, the connection.
fn built(traced: &TracedApp, more: &str) -> (Option<i32>, String) {
    let knows_host = RECIPE
        .replace("($length, $cookies) = (0, \"\")", "($length, $cookies, $host) = (0, \"\", \"\")")
        .replace("    while (<C>) {\n", "    while (<C>) {\n        $host = $1 if /^host: (\\S+)/i;\n")
        .replace("    local $/; my $text", &format!("    {more}\n    local $/; my $text"));
    assert!(knows_host.contains(more) && knows_host.contains("$host = $1"), "{knows_host}");
    fs::write(traced.recipe.join("recipe.toml"), knows_host).expect("writes");
    let ended = end(&mut traced.command(&["build", text(&traced.recipe)]));
    (ended.code, ended.stderr)
}

#[test]
fn an_app_that_works_at_one_of_them_alone_is_not_proven() {
    let Some(traced) = TracedApp::new() else { return };
    let refuses = |host: &str| {
        format!(
            "if ($host =~ /^{host}/) {{ print C \"HTTP/1.0 404 Not Found\\r\\n\\r\\nwhich host?\"; close C; next }}"
        )
    };
    for (host, authority) in [("g-", SERVE), ("127", RUN)] {
        let (code, said) = built(&traced, &refuses(host));
        assert_eq!(code, Some(1), "{said}");
        assert_says(
            &said,
            &[
                &format!("the exercise fails on the pruned root at {authority}"),
                "step 1, GET /usr/share/tea/cup",
                "expected text \"cup\", not found",
            ],
        );
    }
    let (code, said) = built(&traced, &refuses("elsewhere"));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_page_that_leads_to_one_of_them_is_not_proven_at_the_other() {
    let Some(traced) = TracedApp::new() else { return };
    let leads = |from: &str, to: &str| {
        format!(
            "if ($path ne \"/cookies\" && $host =~ /^{from}/) {{ print C \"HTTP/1.0 302 Found\\r\\nLocation: http://{to}/cookies\\r\\n\\r\\ncup\"; close C; next }}"
        )
    };
    let (code, said) = built(&traced, &leads("g-", RUN));
    assert_eq!(code, Some(1), "{said}");
    assert_says(
        &said,
        &[
            &format!("the exercise fails on the pruned root at {SERVE}"),
            "step 1, GET /usr/share/tea/cup",
            &format!("header Location: http://{RUN}/cookies leads to another authority than {SERVE}"),
        ],
    );
    let (code, said) = built(&traced, &leads("g-", SERVE));
    assert_eq!(code, Some(0), "{said}");
}
