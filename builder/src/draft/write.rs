//! A draft as the files of a recipe folder. The text is that of a person who knows the packages: each guess has its
//! place, and what is missing is a TODO where it belongs.

use std::fmt::Write as _;

use super::{Draft, Laid, Service, Wanted, What, texts};

/// Returns the files of a recipe folder.
pub(super) fn files(draft: &Draft, wanted: &Wanted<'_>) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for laid in &draft.files {
        if let What::File { name, text, .. } = &laid.what {
            out.push((format!("files/{name}"), text.clone()));
        }
    }
    if !draft.setup.is_empty() {
        let mut text = texts::SETUP.to_owned();
        for step in &draft.setup {
            let _ = write!(text, "\n# {}\n{}", step.says, step.text);
        }
        out.push(("files/setup.sh".into(), text));
    }
    out.push(("recipe.toml".into(), recipe(draft, wanted)));
    out
}

fn recipe(draft: &Draft, wanted: &Wanted<'_>) -> String {
    let app = wanted.app();
    let mut text = format!(
        "# {app}, begun by `tinyroot init`. Comments name the file and line of the package that a guess was made from.\n"
    );
    for todo in &draft.todo {
        let _ = writeln!(text, "# TODO: {todo}.");
    }
    let _ = write!(
        text,
        "\n[app]\nname = {}\ntitle = {}\nversion = {}\nnoun = \"document\" # TODO: what one grain is: \"wiki\", \"blog\", \"repository\"\n\
         # Kept whole; all else is pruned to what the exercise uses.\npackages = {}\n\n[debian]\nsuite = {}\n",
        quoted(app),
        quoted(&title(app)),
        quoted(&format!("deb:{app}")),
        list(&draft.own),
        quoted(wanted.suite),
    );
    let others: Vec<String> =
        wanted.packages.iter().skip(1).filter(|name| !draft.own.contains(name)).cloned().collect();
    if draft.beside.is_empty() {
        let _ = writeln!(text, "packages = {}", list(&others));
    } else {
        text += "packages = [\n";
        for name in &others {
            let _ = writeln!(text, "    {},", quoted(name));
        }
        for (name, why) in &draft.beside {
            let _ = writeln!(text, "    {}, # {why}", quoted(name));
        }
        text += "]\n";
    }
    if !draft.questions.is_empty() {
        text += "\n# Questions of debconf that its packages ask, with their defaults.\n# [debian.debconf]\n";
        for (name, kind, default) in &draft.questions {
            let value = match kind.as_str() {
                "boolean" => if default == "true" { "true" } else { "false" }.to_owned(),
                "multiselect" => list(
                    &default
                        .split(", ")
                        .filter(|word| !word.is_empty())
                        .map(str::to_owned)
                        .collect::<Vec<_>>(),
                ),
                _ => quoted(default),
            };
            let _ = writeln!(text, "# {} = {value}", quoted(name));
        }
    }
    if !draft.env.is_empty() {
        text += "\n[env]\n";
        for (name, value) in &draft.env {
            let _ = writeln!(text, "{name} = {}", quoted(value));
        }
    }
    for laid in &draft.files {
        text += "\n";
        text += &laid_text(laid);
    }
    if !draft.setup.is_empty() {
        text += "\n[[file]]\npath = \"/app/setup.sh\"\nsource = \"files/setup.sh\"\nmode = \"0755\"\n\n\
                 # Once per grain, on its new /var.\n[setup]\ncommand = [\"/bin/sh\", \"/app/setup.sh\"]\n";
    }
    for service in &draft.services {
        text += "\n";
        text += &service_text(service);
    }
    let (port, why) = &draft.port;
    let _ = writeln!(
        text,
        "\n[web]\nport = {port}{}",
        if why.is_empty() { String::new() } else { format!(" # {why}") }
    );
    for (line, why) in &draft.web {
        let _ = writeln!(text, "{line} # {why}");
    }
    if let Some(why) = &draft.proc {
        let _ = writeln!(text, "\n[sandbox]\nproc = true # {why}");
    }
    text += "\n";
    for told in &draft.told {
        let _ = writeln!(text, "# {told}");
    }
    text + &texts::EXERCISE.replace("FIRST", &draft.first_page).replace("APP", app)
}

fn laid_text(laid: &Laid) -> String {
    let says = if laid.says.is_empty() { String::new() } else { format!("# {}\n", laid.says) };
    let what = match &laid.what {
        What::File { name, mode, .. } => {
            let mode = mode.map(|mode| format!("mode = \"{mode}\"\n")).unwrap_or_default();
            format!("source = {}\n{mode}", quoted(&format!("files/{name}")))
        }
        What::Directory => "directory = true\n".to_owned(),
        What::Moved(to) => format!("moved = {}\n", quoted(to)),
        What::Link(target) => format!("link = {}\n", quoted(target)),
    };
    format!("{says}[[file]]\npath = {}\n{what}", quoted(&laid.path))
}

fn service_text(service: &Service) -> String {
    let mut text = format!(
        "# {}\n[[service]]\nname = {}\ncommand = {}\n",
        service.says,
        quoted(&service.name),
        list(&service.command)
    );
    if !service.env.is_empty() {
        let all: Vec<String> =
            service.env.iter().map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
        let _ = writeln!(text, "env = {{ {} }}", all.join(", "));
    }
    if let Some(ready) = &service.ready {
        let _ = writeln!(text, "ready = {{ {ready} }}");
    }
    for line in &service.more {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Returns a text as TOML has it.
fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// Returns a name with a capital, for people to see.
fn title(app: &str) -> String {
    let mut letters = app.chars();
    letters.next().map(|first| first.to_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
