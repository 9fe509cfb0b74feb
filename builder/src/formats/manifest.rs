//! `sandstorm-manifest`: a package's description of itself, one framed Cap'n Proto message.
//!
//! ```text
//! Manifest (2 data words, 5 pointers)   Command (0, 3)       Action (1, 5)          LocalizedText (0, 2)
//!   u32 minApiVersion      @0             executable ptr 0     u16 input tag @0       default text ptr 0
//!   u32 maxApiVersion      @4             argv       ptr 1     command     ptr 1      localizations ptr 1
//!   u32 appVersion         @8             environ    ptr 2     title       ptr 2
//!   u32 minUpgradable…     @12          KeyValue (0, 2)        description ptr 3
//!   actions, continueCommand,             key        ptr 0     nounPhrase  ptr 4
//!   marketingVersion, title, metadata     value      ptr 1
//! ```
//!
//! Read: the fields that tools show and an install checks. Icons, screenshots and translations of foreign
//! packages are left where they are. Written: one segment, in preorder, the same bytes for the same values.

use super::capnp::{CapnpError, Message, Struct, Value, message_bytes};

/// The name of the manifest in a package.
pub const FILE_NAME: &str = "sandstorm-manifest";

/// The read limit of a manifest, in words: 8 MiB, as in Sandstorm's own tool.
const BUDGET_WORDS: u64 = 1 << 20;

/// A package's manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Manifest {
    /// Orders releases: a grain moves to a package whose version is not lower.
    pub app_version: u32,
    /// The version as people know it ("2024-02-06a").
    pub marketing_version: String,
    /// The app's title.
    pub title: String,
    /// Commands that start a new grain; one button each.
    pub actions: Vec<Action>,
    /// The command that starts a grain again; without it no grain can be reopened.
    pub continue_command: Option<Command>,
    /// Metadata for app markets.
    pub metadata: Metadata,
}

/// A way to start a new grain.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Action {
    /// The noun for a grain, after "New" ("wiki").
    pub noun_phrase: String,
    /// The program that makes it.
    pub command: Command,
}

/// A program and all of its environment. No shell is between.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Command {
    /// The program's path and arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub environ: Vec<(String, String)>,
}

/// The part of a manifest's metadata that tools show.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Metadata {
    /// The app's site: http or https.
    pub website: String,
    /// Where its source is: http or https.
    pub code_url: String,
    /// One line.
    pub short_description: String,
    /// Whom to write to.
    pub contact_email: String,
    /// Who wrote the app, if someone else packed it.
    pub upstream_author: String,
    /// True if the package carries a proof of authorship, which this program does not check.
    pub author_signed: bool,
}

/// A manifest that a package cannot have.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A manifest without bytes.
    #[error("the manifest is empty")]
    Empty,
    /// No message, or not one of this schema.
    #[error("cannot read the manifest")]
    Message(#[source] CapnpError),
    /// A link that is neither http nor https.
    #[error("the manifest's {field} is not an http or https address: `{}`", value.escape_debug())]
    Url {
        /// Which.
        field: &'static str,
        /// Its text.
        value: String,
    },
}

impl From<CapnpError> for ManifestError {
    fn from(source: CapnpError) -> Self {
        ManifestError::Message(source)
    }
}

impl Command {
    /// Returns a command of these arguments.
    pub fn new(argv: &[&str], environ: &[(&str, &str)]) -> Self {
        Command {
            argv: argv.iter().map(|&a| a.into()).collect(),
            environ: environ.iter().map(|&(k, v)| (k.into(), v.into())).collect(),
        }
    }

    fn read(at: &Struct<'_>) -> Result<Self, CapnpError> {
        let mut argv = Vec::new();
        let deprecated = at.string(0)?;
        if !deprecated.is_empty() {
            argv.push(deprecated);
        }
        for item in at.list(1)?.iter() {
            argv.push(item.string(0)?);
        }
        let environ = at.list(2)?;
        let environ = environ.iter().map(|pair| Ok((pair.string(0)?, pair.string(1)?)));
        Ok(Command { argv, environ: environ.collect::<Result<_, CapnpError>>()? })
    }

    fn value(&self) -> Value {
        let argv = self.argv.iter().map(|a| Value::Text(a.as_bytes().to_vec())).collect();
        let pair = |(key, value): &(String, String)| (Vec::new(), vec![Value::text(key), Value::text(value)]);
        let environ = Value::StructList {
            data_words: 0,
            pointer_words: 2,
            elements: self.environ.iter().map(pair).collect(),
        };
        let environ = if self.environ.is_empty() { Value::Null } else { environ };
        Value::Struct { data: Vec::new(), pointers: vec![Value::Null, Value::PointerList(argv), environ] }
    }
}

fn localized(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    Value::Struct { data: Vec::new(), pointers: vec![Value::text(text), Value::Null] }
}

fn read_localized(at: &Struct<'_>, index: u16) -> Result<String, CapnpError> {
    at.structure(index)?.map_or(Ok(String::new()), |text| text.string(0))
}

impl Action {
    fn read(at: &Struct<'_>) -> Result<Self, CapnpError> {
        let command = at.structure(1)?.map_or(Ok(Command::default()), |c| Command::read(&c))?;
        let (title, noun) = (read_localized(at, 2)?, read_localized(at, 4)?);
        Ok(Action { noun_phrase: if noun.is_empty() { title } else { noun }, command })
    }

    fn element(&self) -> (Vec<u64>, Vec<Value>) {
        let noun = localized(&self.noun_phrase);
        (vec![0], vec![Value::Null, self.command.value(), Value::Null, Value::Null, noun])
    }
}

impl Metadata {
    fn read(at: &Struct<'_>) -> Result<Self, CapnpError> {
        Ok(Metadata {
            website: at.string(3)?,
            code_url: at.string(4)?,
            contact_email: at.string(8)?,
            author_signed: at.data(9)?.is_some_and(|span| span.size_bytes > 0),
            short_description: read_localized(at, 12)?,
            upstream_author: at.string(16)?,
        })
    }

    fn value(&self) -> Value {
        let mut pointers = vec![Value::Null; 17];
        pointers[3] = Value::text(&self.website);
        pointers[4] = Value::text(&self.code_url);
        pointers[8] = Value::text(&self.contact_email);
        pointers[12] = localized(&self.short_description);
        pointers[16] = Value::text(&self.upstream_author);
        if pointers.iter().all(|p| matches!(p, Value::Null)) {
            return Value::Null;
        }
        Value::Struct { data: vec![0], pointers }
    }

    /// Checks the addresses as an install does.
    ///
    /// # Errors
    /// [`ManifestError::Url`].
    fn check(&self) -> Result<(), ManifestError> {
        for (field, value) in [("website", &self.website), ("code address", &self.code_url)] {
            let good = value.is_empty() || value.starts_with("http://") || value.starts_with("https://");
            if !good {
                return Err(ManifestError::Url { field, value: value.clone() });
            }
        }
        Ok(())
    }
}

impl Manifest {
    /// Reads and checks a manifest as an install does.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.is_empty() {
            return Err(ManifestError::Empty);
        }
        let message = Message::new(&bytes, 0, Some(BUDGET_WORDS.min(4 * bytes.len() as u64)))?;
        let root = message.root()?;
        let manifest = Manifest {
            app_version: root.u32(8)?,
            actions: root.list(0)?.iter().map(|a| Action::read(&a)).collect::<Result<_, _>>()?,
            continue_command: root.structure(1)?.map(|c| Command::read(&c)).transpose()?,
            marketing_version: read_localized(&root, 2)?,
            title: read_localized(&root, 3)?,
            metadata: root.structure(4)?.map_or(Ok(Metadata::default()), |m| Metadata::read(&m))?,
        };
        manifest.metadata.check()?;
        Ok(manifest)
    }

    /// Returns the message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let elements: Vec<_> = self.actions.iter().map(Action::element).collect();
        let actions = Value::StructList { data_words: 1, pointer_words: 5, elements };
        let pointers = vec![
            if self.actions.is_empty() { Value::Null } else { actions },
            self.continue_command.as_ref().map_or(Value::Null, Command::value),
            localized(&self.marketing_version),
            localized(&self.title),
            self.metadata.value(),
        ];
        message_bytes(&Value::Struct { data: vec![0, self.app_version.into()], pointers })
    }

    /// Returns the manifest of an app whose first process is `tinyroot-init`.
    pub fn for_init(title: &str, marketing_version: &str, app_version: u32, noun: &str) -> Self {
        let command = |verb| Command::new(&["/tinyroot/init", verb], &[]);
        Manifest {
            app_version,
            marketing_version: marketing_version.into(),
            title: title.into(),
            actions: vec![Action { noun_phrase: noun.into(), command: command("new") }],
            continue_command: Some(command("continue")),
            metadata: Metadata::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_known_answer() {
        let manifest = Manifest {
            app_version: 1,
            marketing_version: "1.0".into(),
            title: "Demo".into(),
            ..Manifest::default()
        };
        let expected = "000000000e000000 0000000002000500 0000000000000000 0100000000000000 \
            0000000000000000 0000000000000000 0800000000000200 1000000000000200 0000000000000000 \
            0500000022000000 0000000000000000 312e300000000000 050000002a000000 0000000000000000 \
            44656d6f00000000";
        let bytes = manifest.to_bytes();
        let words: Vec<String> =
            bytes.chunks(8).map(|w| w.iter().map(|b| format!("{b:02x}")).collect()).collect();
        assert_eq!(words.join(" "), expected);
        assert_eq!(Manifest::read(&bytes).expect("reads"), manifest);
    }

    #[test]
    fn round_trips() {
        let mut manifest = Manifest::for_init("A wiki", "2024-02-06a", 7, "wiki");
        manifest.metadata.website = "https://example.org/".into();
        manifest.metadata.short_description = "Pages, linked".into();
        manifest.actions[0].command.environ = vec![("A".into(), String::new()), ("B".into(), "c d".into())];
        assert_eq!(Manifest::read(&manifest.to_bytes()).expect("reads"), manifest);
    }

    #[test]
    fn actions_without_a_size_are_as_dear_as_what_they_become() {
        let bytes = |count| {
            let actions = Value::StructList {
                data_words: 0,
                pointer_words: 0,
                elements: vec![Default::default(); count],
            };
            message_bytes(&Value::Struct { data: vec![0, 0], pointers: vec![actions] })
        };
        assert_eq!(Manifest::read(&bytes(10)).expect("are few").actions.len(), 10);
        assert!(matches!(Manifest::read(&bytes(100)), Err(ManifestError::Message(CapnpError::Budget))));
    }

    #[test]
    fn refuses_what_an_install_refuses() {
        let mut manifest = Manifest::for_init("t", "1", 1, "n");
        assert_eq!(Manifest::read(b"").expect_err("empty").to_string(), "the manifest is empty");
        let bytes = manifest.to_bytes();
        assert!(matches!(Manifest::read(&bytes[..bytes.len() - 1]), Err(ManifestError::Message(_))));
        manifest.metadata.code_url = "javascript:x".into();
        let error = Manifest::read(&manifest.to_bytes()).expect_err("no address");
        let expected = "the manifest's code address is not an http or https address: `javascript:x`";
        assert_eq!(error.to_string(), expected);
    }
}
