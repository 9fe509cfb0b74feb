//! The host and port under which a user knows an app.

use std::fmt;

use crate::recipe::Recipe;

/// The host and port of the URL in a user's browser; its scheme is `http`.
///
/// An app listens on the port of its recipe, inside the grain. What a browser shows is another: that of `run`
/// or of `serve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// A name or an IPv4 address.
    pub host: String,
    /// The port, which is never 80: pages name it.
    pub port: u16,
}

impl Authority {
    /// Returns what `run` shows: the loopback's address, and a port that is not the app's own.
    pub fn of_run(recipe: &Recipe) -> Self {
        Authority { host: "127.0.0.1".to_owned(), port: other_port(recipe, 8765) }
    }

    /// Returns what `serve` shows: a name below `localhost`, which is as long as that of a grain.
    pub fn of_serve(recipe: &Recipe) -> Self {
        Authority { host: "g-0123456789abcdef.localhost".to_owned(), port: other_port(recipe, 6080) }
    }

    /// Returns all under which the app is proven; one if it has no web port.
    pub fn all(recipe: &Recipe) -> Vec<Self> {
        match recipe.web {
            Some(_) => vec![Authority::of_run(recipe), Authority::of_serve(recipe)],
            None => vec![Authority::of_run(recipe)],
        }
    }

    /// Returns the start of the app's URLs, without a slash at the end.
    pub fn base(&self) -> String {
        format!("http://{self}")
    }

    /// Replaces the authority, and its host and port alone, by words that are the same for all: for texts
    /// that are compared.
    pub fn folded(&self, text: &str) -> String {
        let port = self.port.to_string();
        text.replace(&self.to_string(), "{authority}")
            .replace(&format!("{}%3A{port}", self.host), "{authority}")
            .replace(&self.host, "{host}")
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Returns the port, or the one after it if the app itself listens on that.
fn other_port(recipe: &Recipe, port: u16) -> u16 {
    if recipe.web.as_ref().is_some_and(|web| web.port == port) { port + 1 } else { port }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_two_authorities_fold_to_the_same() {
        let run = Authority { host: "127.0.0.1".into(), port: 8765 };
        let serve = Authority { host: "g-0a.localhost".into(), port: 6080 };
        let text = |at: &Authority| {
            at.folded(&format!(
                "<a href=\"http://{at}/x?next=http%3A%2F%2F{}%3A{}\">{}",
                at.host, at.port, at.host
            ))
        };
        assert_eq!(text(&run), text(&serve));
        assert_eq!(text(&run), "<a href=\"http://{authority}/x?next=http%3A%2F%2F{authority}\">{host}");
    }
}
