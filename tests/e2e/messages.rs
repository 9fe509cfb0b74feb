//! An app that speaks over a WebSocket and an event stream: what only messages ask for is traced, kept and
//! missed as what requests ask for.

use std::fs;

use tinyroot::testing::deb;

use super::{
    support::{assert_says, end, text},
    traced_app::{TracedApp, with_code},
};

/// A server that says over a WebSocket what is in the cup that a message names, and what it said last over an
/// event stream. Its `Accept` is that of the key which the exercise sends (RFC 6455, 1.3).
const STREAMS: &str = r#"if ($path eq "/ws" || $path eq "/events") {
        $SIG{CHLD} = "IGNORE";
        if (fork) { close C; next }
        if ($path eq "/events") {
            syswrite(C, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: hello\n\n");
            my $last = "";
            for (1 .. 600) {
                my $now = "";
                if (open(F, "<", "/var/said")) { local $/; $now = <F>; close F }
                if ($now ne $last) { $last = $now; syswrite(C, "event: cup\ndata: $now\n\n") or exit 0 }
                select(undef, undef, undef, 0.05);
            }
            exit 0;
        }
        syswrite(C, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            . "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
        while (read(C, my $head, 6) == 6) {
            my ($first, $length) = unpack("C C", $head);
            read(C, my $payload, $length & 127);
            my $mask = substr($head, 2) x (1 + length($payload) / 4);
            $payload ^= substr($mask, 0, length $payload);
            exit 0 if ($first & 15) == 8;
            next if ($first & 15) > 2;
            my $cup = "empty";
            if (open(F, "<", "/usr/share/cups/$payload")) { chomp($cup = <F>); close F }
            open(F, ">", "/var/said.new"); print F "$payload is $cup"; close F;
            rename("/var/said.new", "/var/said");
            for my $said (time . " ticks", "$payload: $cup") {
                syswrite(C, pack("C C", 0x81, length $said) . $said);
            }
        }
        exit 0;
    }"#;

/// The red cup, over a WebSocket that stays open while an event stream and a page are looked at.
const RED: &str = r#"
[[exercise]]
sse = "/events"
open = "events"
[[exercise]]
websocket = "/ws"
open = "cups"
messages = [{ send = "red" }, { expect = "red: ", capture.taste = 'red: (\w+)' }]
[[exercise]]
get = "/usr/share/tea/green"
contains = "green"
[[exercise]]
stream = "events"
messages = [{ expect = "red is {taste}" }]
close = true
"#;

/// The white one, as far as anything is said of it.
const WHITE: &str = r#"
[[exercise]]
stream = "cups"
messages = [{ send = { hex = "77 68 69 74 65" } }, { expect = "white: " }]
"#;

#[test]
fn what_only_messages_ask_for_is_traced_missed_and_mended() {
    let cups = ["red", "white", "blue"].into_iter().fold(deb("cups"), |deb, name| {
        deb.file(&format!("usr/share/cups/{name}"), 0o644, format!("{name}ish\n"))
    });
    let recipe = format!("{}{RED}", with_code(STREAMS));
    let traced = TracedApp::of(&recipe, |tea| vec![tea.field("Depends", "cups"), cups]);
    let Some(traced) = traced else { return };
    assert_says(&traced.used(), &["/usr/share/cups/red opened /usr/bin/perl cups web websocket:/ws\n"]);
    let artifact = traced.home.path("tea.spk");
    let build = ["build", text(&traced.recipe), "--output", text(&artifact)];
    traced.done(&build);
    traced.done(&["check", text(&traced.recipe), "--explore"]);

    // Nothing that is expected shows that the white cup is gone; the full root does.
    let recipe_file = traced.recipe.join("recipe.toml");
    fs::write(&recipe_file, format!("{recipe}{WHITE}")).expect("writes");
    let failed = end(&mut traced.command(&build));
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert_says(
        &failed.stderr,
        &[
            "stream cups: its text differs (1 lines gone, 1 new)",
            "- white: whiteish",
            "+ white: empty",
            "/usr/share/cups/white",
        ],
    );
    // Something that is expected does.
    let wanted = WHITE.replace("\"white: \"", "\"white: whiteish\", timeout_s = 1");
    fs::write(&recipe_file, format!("{recipe}{wanted}")).expect("writes");
    let failed = end(&mut traced.command(&build));
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let missing = "message 2: expected text \"white: whiteish\", not found in time; 3 other messages came, the last one: white: empty";
    assert_says(&failed.stderr, &["step 6, stream cups", missing, "/usr/share/cups/white"]);
    let fixed = end(&mut traced.command(&[&build[..], &["--fix"]].concat()));
    assert_eq!(fixed.code, Some(0), "{}", fixed.stderr);
    let mended = fs::read_to_string(&recipe_file).expect("reads");
    assert_says(&mended, &["keep = [", "/usr/share/cups/white"]);
    assert!(!mended.contains("blue"), "{mended}");
}
