use super::*;

fn told(whole: &[&str], pruned: &str) -> (Vec<String>, Vec<String>) {
    let whole: Vec<Text> = whole.iter().map(|text| Text::new(text)).collect();
    let changes = changes(&whole, &Text::new(pruned));
    (changes.lacking, changes.new)
}

#[test]
fn tokens_of_letters_alone_are_told_from_text() {
    let page = |token: &str, text: &str| {
        format!("<p>Your link:</p>\n<p>{text} <a href='/s/{token}'>{token}</a></p>\n<p>Bye</p>")
    };
    let whole = [page("qkzjw", "Short:"), page("pmxnb", "Short:")];
    let whole = [&whole[0][..], &whole[1]];
    assert_eq!(told(&whole, &page("aaaaa", "Short:")), (vec![], vec![]));
    let (lacking, new) = told(&whole, &page("aaaaa", "Error:"));
    assert_eq!(lacking, ["<p>Short: <a href='/s/\u{2026}'>\u{2026}</a>"]);
    assert_eq!(new, ["<p>Error: <a href='/s/aaaaa'>aaaaa</a>"]);
    assert_eq!(told(&whole, &page("", "Short:")).0.len(), 1, "an empty token is none");
    assert_eq!(told(&whole, "<p>Your link:</p>\n<p>Bye</p>").0.len(), 2);
}

#[test]
fn an_identifier_that_has_no_digit_for_once_is_one() {
    let list = |ids: [&str; 2]| format!("<li>{}</li>\n<li>{}</li>\n<li>Home</li>", ids[0], ids[1]);
    let (one, two) = (list(["a8x3", "77bq"]), list(["k0k0", "zz1z"]));
    assert_eq!(told(&[&one, &two], &list(["abcd", "9b9b"])), (vec![], vec![]));
    assert_eq!(told(&[&one, &two], &list(["abcd", "wxyz"])), (vec![], vec![]));
    let one = list(["abcd", "77bq"]);
    assert_eq!(told(&[&one, &two], &list(["xyzw", "9b9b"])), (vec![], vec![]));
    assert_eq!(told(&["version 8"], "version unknown").1, ["version unknown"]);
    assert_eq!(told(&["version 8", "version 8"], "version unknown").1, ["version unknown"]);
    assert_eq!(told(&["took 8 ms", "took 9 ms"], "took NaN ms").1, ["took NaN ms"]);
}

#[test]
fn lines_that_come_and_go_may_do_so_and_others_may_not() {
    let (one, two) = ("start\nslow disk\nend", "start\nend");
    for pruned in [one, two] {
        assert_eq!(told(&[one, two], pruned), (vec![], vec![]));
    }
    assert_eq!(told(&[one, two], "start\ncannot open spool\nend").1, ["cannot open spool"]);
    assert_eq!(told(&[one, two], "end").0, ["start"]);
}

#[test]
fn a_saying_of_the_day_does_not_hide_a_failure() {
    let (one, two) = ("head\nto be or not to be\nfoot", "head\na rose is a rose\nfoot");
    assert_eq!(told(&[one, two], "head\nwell done\nfoot"), (vec![], vec![]));
    let (lacking, new) = told(&[one, two], "head\nFatal error: no sayings\nfoot");
    assert_eq!((lacking.len(), &new[..]), (1, &["Fatal error: no sayings".to_owned()][..]));
    assert_eq!(told(&[one, two], "head\nwell done\nand more\nfoot").1.len(), 1);
}

#[test]
fn a_document_of_one_line_is_compared_to_its_end() {
    let filler = "\"x\": \"y\", ".repeat(100);
    let document = |token: &str, text: &str| format!("{{{filler}\"id\": \"{token}\", \"text\": \"{text}\"}}");
    let (one, two) = (document("qkzjw", "all is well"), document("pmxnb", "all is well"));
    assert_eq!(told(&[&one, &two], &document("aaaaa", "all is well")), (vec![], vec![]));
    assert_eq!(told(&[&one, &two], &document("aaaaa", "all is lost")).1, ["\"text\": \"all is lost\"}"]);
    assert_eq!(told(&["<b>a</b><i>b</i>"], "<b>a</b><i>c</i>").0, ["<i>b</i>"]);
}

/// Random numbers that are the same each time (xorshift64, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap_or_default() % limit
    }

    fn word(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    /// Returns a token in one of many alphabets: short links, hexadecimal, base36, base64 and others.
    fn token(&mut self, kind: usize) -> String {
        let (lower, upper, digits) =
            ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789");
        match kind % 8 {
            0 => self.word(lower, 5),
            1 => self.word(&format!("{lower}{upper}"), 12),
            2 => self.word("0123456789abcdef", 32),
            3 => self.word(&format!("{lower}{digits}"), 6),
            4 => self.word(&format!("{lower}{upper}{digits}-_"), 22),
            5 => self.word(&format!("{lower}{upper}{digits}+/"), 43) + "=",
            6 => self.word("абвгдежзийклмнопрстуфхцчшщъыьэюя", 7),
            _ => [8, 4, 4, 4, 12].map(|length| self.word("0123456789abcdef", length)).join("-"),
        }
    }

    fn sentence(&mut self) -> String {
        const WORDS: [&str; 16] = [
            "page", "list", "of", "the", "wiki", "user", "has", "no", "title", "edit", "last", "change",
            "show", "all", "files", "here",
        ];
        let length = 3 + self.below(8);
        (0..length).map(|_| WORDS[self.below(WORDS.len())]).collect::<Vec<_>>().join(" ")
    }
}

/// A page of fixed sentences with places for tokens.
struct Page {
    lines: Vec<(String, Option<usize>)>,
}

impl Page {
    fn new(random: &mut Random) -> Self {
        let line = |random: &mut Random| {
            let kind = random.below(8);
            let (before, after) = (random.sentence(), random.sentence());
            match random.below(7) {
                0 => (format!("<input name=\"token\" value=\"{{}}\"> {after}"), Some(kind)),
                1 => (format!("<a href=\"/{before}/{{}}\">{after}</a>"), Some(kind)),
                2 => (format!("<li>{before}: {{}}</li>"), Some(kind)),
                3 => ("<li>{}</li>".to_owned(), Some(kind)),
                _ => (format!("<p>{before}. {after}.</p>"), None),
            }
        };
        Page { lines: (0..12).map(|_| line(random)).collect() }
    }

    fn render(&self, random: &mut Random) -> Vec<String> {
        let mut render = |(text, kind): &(String, Option<usize>)| match kind {
            Some(kind) => text.replace("{}", &random.token(*kind)),
            None => text.clone(),
        };
        self.lines.iter().map(&mut render).collect()
    }
}

#[test]
fn whatever_the_tokens_the_same_page_is_the_same_and_a_lost_sentence_is_found() {
    let random = &mut Random(0x5eed_1234_5678_9abc);
    let mut flickers = [0; 2];
    for round in 0..400 {
        let page = Page::new(random);
        for (runs, flickers) in [2, 3].into_iter().zip(&mut flickers) {
            let whole: Vec<String> = (0..runs).map(|_| page.render(random).join("\n")).collect();
            let whole: Vec<&str> = whole.iter().map(|text| &text[..]).collect();
            let pruned = page.render(random).join("\n");
            *flickers += usize::from(told(&whole, &pruned) != (vec![], vec![]));

            let mut lost = page.render(random);
            let at = random.below(lost.len());
            let is_twice = page.lines.iter().filter(|line| line.0 == page.lines[at].0).count() > 1;
            let gone = lost.remove(at);
            let (lacking, _) = told(&whole, &lost.join("\n"));
            assert!(
                is_twice || !lacking.is_empty(),
                "round {round}: {gone} is gone from\n{}",
                lost.join("\n")
            );

            let mut other = page.render(random);
            let word = gone.split(' ').find(|word| word.chars().all(|c| c.is_ascii_lowercase()));
            if let Some(word) = word {
                other[at] = other[at].replacen(&format!("{word} "), "Warning ", 1);
                if other[at].contains("Warning") {
                    let (lacking, new) = told(&whole, &other.join("\n"));
                    assert!(is_twice || !lacking.is_empty(), "round {round}: {}", other[at]);
                    assert!(!new.is_empty(), "round {round}: {}", other[at]);
                }
            }
        }
    }
    // What differs is asked again, of both sides: a token may look like the one of another run for once.
    assert!(flickers[0] <= 4 && flickers[1] <= 1, "{flickers:?} of 400 differ");
}
