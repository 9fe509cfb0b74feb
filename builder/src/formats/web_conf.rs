//! Configurations of Apache and nginx, as packages ship them for their apps: directives, their arguments, and the
//! blocks that they stand in, with where each line stands.
//!
//! Only the form is read. What a directive means is for others.

/// A directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its name as it is written.
    pub name: String,
    /// Its arguments, without quotes.
    pub arguments: Vec<String>,
    /// The line on which it stands, from 1.
    pub line: usize,
    /// What stands in its block.
    pub inside: Vec<Directive>,
}

impl Directive {
    /// Returns whether it has that name; case does not matter.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Returns an argument.
    pub fn argument(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).map(String::as_str)
    }
}

/// How deep blocks may lie in another; what is deeper is passed over.
const MAX_DEPTH: usize = 16;

/// Reads a configuration of Apache: `Name arguments`, `<Block arguments>` … `</Block>`.
pub fn apache(text: &str) -> Vec<Directive> {
    let mut open: Vec<Directive> = Vec::new();
    let mut out = Vec::new();
    let mut begun = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(more) = line.strip_suffix('\\') {
            begun.push_str(more);
            continue;
        }
        let line = std::mem::take(&mut begun) + line;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with("</") {
            if let Some(done) = open.pop() {
                open.last_mut().map_or(&mut out, |block| &mut block.inside).push(done);
            }
            continue;
        }
        let block = line.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        let mut words = apache_words(block.unwrap_or(&line));
        if words.is_empty() {
            continue;
        }
        let name = words.remove(0);
        let directive = Directive { name, arguments: words, line: index + 1, inside: Vec::new() };
        if block.is_some() && open.len() < MAX_DEPTH {
            open.push(directive);
        } else {
            open.last_mut().map_or(&mut out, |block| &mut block.inside).push(directive);
        }
    }
    while let Some(done) = open.pop() {
        open.last_mut().map_or(&mut out, |block| &mut block.inside).push(done);
    }
    out
}

fn apache_words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|letter| ['"', '\''].contains(letter));
        let (word, after) = match quote {
            Some(quote) => rest[1..].split_once(quote).unwrap_or((&rest[1..], "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        out.push(word.to_owned());
        rest = after.trim_start();
    }
    out
}

/// Reads a configuration of nginx: `name arguments;`, `name arguments { … }`.
pub fn nginx(text: &str) -> Vec<Directive> {
    let mut open: Vec<Directive> = Vec::new();
    let mut out = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut line = 1;
    let mut began = 1;
    let mut letters = text.chars().peekable();
    let take = |words: &mut Vec<String>, began: usize| {
        (!words.is_empty()).then(|| {
            let name = words.remove(0);
            Directive { name, arguments: std::mem::take(words), line: began, inside: Vec::new() }
        })
    };
    while let Some(letter) = letters.next() {
        if words.is_empty() {
            began = line;
        }
        match letter {
            '\n' => line += 1,
            '#' => while letters.next_if(|letter| *letter != '\n').is_some() {},
            ';' => {
                if let Some(directive) = take(&mut words, began) {
                    open.last_mut().map_or(&mut out, |block| &mut block.inside).push(directive);
                }
            }
            '{' => {
                if let Some(directive) = take(&mut words, began).filter(|_| open.len() < MAX_DEPTH) {
                    open.push(directive);
                }
            }
            '}' => {
                if let Some(done) = open.pop() {
                    open.last_mut().map_or(&mut out, |block| &mut block.inside).push(done);
                }
            }
            '"' | '\'' => {
                let mut word = String::new();
                for inner in letters.by_ref() {
                    line += usize::from(inner == '\n');
                    if inner == letter {
                        break;
                    }
                    word.push(inner);
                }
                words.push(word);
            }
            _ if letter.is_whitespace() => {}
            _ => {
                let mut word = String::from(letter);
                let mut braces = 0;
                loop {
                    let mut ahead = letters.clone();
                    let Some(next) = ahead.next() else { break };
                    // A brace within a word belongs to a variable (`${x}`) or a regular expression (`{2}`).
                    let opens = next == '{'
                        && (word.ends_with('$') || ahead.next().is_some_and(|inner| inner.is_ascii_digit()));
                    let ends = match next {
                        '{' => !opens,
                        '}' => braces == 0,
                        _ => next.is_whitespace() || next == ';',
                    };
                    if ends {
                        break;
                    }
                    braces += usize::from(next == '{');
                    braces -= usize::from(next == '}');
                    word.push(next);
                    letters.next();
                }
                words.push(word);
            }
        }
    }
    while let Some(done) = open.pop() {
        open.last_mut().map_or(&mut out, |block| &mut block.inside).push(done);
    }
    out
}

/// Returns all directives of a name, in blocks too, each with the blocks that it stands in, the outermost first.
pub fn find<'a>(all: &'a [Directive], name: &str) -> Vec<(&'a Directive, Vec<&'a Directive>)> {
    fn look<'a>(
        all: &'a [Directive],
        name: &str,
        within: &mut Vec<&'a Directive>,
        out: &mut Vec<(&'a Directive, Vec<&'a Directive>)>,
    ) {
        for directive in all {
            if directive.is(name) {
                out.push((directive, within.clone()));
            }
            within.push(directive);
            look(&directive.inside, name, within, out);
            within.pop();
        }
    }
    let mut out = Vec::new();
    look(all, name, &mut Vec::new(), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_apache_hold_their_directives() {
        let text = "# tea\nAlias /tea \"/usr/share/tea pot\"\n<Directory /usr/share/tea>\n  <IfModule mod_x.c>\n    \
                    RewriteRule ^.*$ \\\n index.php [L]\n  </IfModule>\n</Directory>\n</Stray>\n";
        let all = apache(text);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].arguments, ["/tea", "/usr/share/tea pot"]);
        assert_eq!(all[0].line, 2);
        let found = find(&all, "rewriterule");
        assert_eq!(found[0].0.arguments, ["^.*$", "index.php", "[L]"]);
        assert_eq!(
            found[0].1.iter().map(|block| block.name.as_str()).collect::<Vec<_>>(),
            ["Directory", "IfModule"]
        );
    }

    #[test]
    fn blocks_of_nginx_hold_their_directives() {
        let text =
            "server {\n  listen 80; # here\n  location ~ ^/a{2}\\.php$ {\n    alias \"/x y/\";\n  }\n}\n";
        let all = nginx(text);
        assert_eq!(all.len(), 1);
        let found = find(&all, "alias");
        assert_eq!((found[0].0.argument(0), found[0].0.line), (Some("/x y/"), 4));
        assert_eq!(found[0].1[1].arguments, ["~", "^/a{2}\\.php$"]);
        assert_eq!(find(&all, "listen")[0].0.arguments, ["80"]);
    }

    #[test]
    fn what_is_not_closed_is_there_still() {
        assert_eq!(apache("<A x>\nB c\n")[0].inside.len(), 1);
        assert_eq!(nginx("a { b c; d").len(), 1);
        assert_eq!(nginx("}}};{").len(), 0);
    }
}
