//! The service of a recipe that a program was started for.

use std::collections::HashMap;

use crate::{
    recipe::Recipe,
    store::Store,
    tree::{Kind, Tree},
};

/// The names of services by their programs.
pub struct Services {
    /// Program of a first process's child → service; `None` where several would fit.
    by_program: HashMap<String, Option<String>>,
}

impl Services {
    /// Takes names from the recipe; its commands are looked up in `tree`.
    pub fn of(recipe: &Recipe, tree: &Tree, store: &Store) -> Self {
        let setup = recipe.setup.iter().map(|setup| ("setup", &setup.command));
        let all = recipe.services.iter().map(|service| (&*service.name, &service.command));
        let mut by_program: HashMap<String, Option<String>> = HashMap::new();
        for (name, command) in setup.chain(all) {
            let Some(program) = command.first().and_then(|word| running(tree, store, word.as_bytes())) else {
                continue;
            };
            by_program.entry(program).and_modify(|name| *name = None).or_insert(Some(name.to_owned()));
        }
        Services { by_program }
    }

    /// Returns the service that a program stands for; the program's own name where that is none or several.
    pub fn name(&self, program: &str) -> String {
        match self.by_program.get(program) {
            Some(Some(name)) => name.clone(),
            _ => program.rsplit('/').next().unwrap_or_default().to_owned(),
        }
    }
}

/// Returns the program that runs when a command is started: the file itself, or the interpreter that
/// its first line names; as an absolute path, escaped.
fn running(tree: &Tree, store: &Store, command: &[u8]) -> Option<String> {
    let mut path = tree.resolve(command, |_| {})?;
    // An interpreter may be a script itself, up to four deep (`execve(2)`).
    for _ in 0..4 {
        let Kind::File { digest, .. } = tree.get(path.as_bytes())?.kind else { return None };
        let mut head = [0; 256];
        let length = store.blob(&digest).ok()?.read_at(&mut head, 0).ok()?;
        let Some(line) = head[..length].strip_prefix(b"#!") else { break };
        let line = line.split(|b| *b == b'\n').next()?.trim_ascii();
        let interpreter = line.split(|b| *b == b' ' || *b == b'\t').next()?;
        path = tree.resolve(interpreter, |_| {})?;
    }
    Some(format!("/{path}"))
}
