//! Why a grain did not become ready: the recipe's key, and a remedy.
//!
//! Comes in: the lines that the first process printed, what the recipe says of its services, and what
//! listened last. Goes out: a [`Remedy`], if one is known.

use crate::{
    recipe::{Ready, Recipe},
    sandbox::Listening,
};

/// The beginning of each line of the first process.
const INIT: &str = "tinyroot-init: ";

/// Programs that go to the background by themselves, and the option that keeps them in the foreground.
const FOREGROUND: [(&str, &str); 14] = [
    ("apache2", "-D FOREGROUND"),
    ("apache2ctl", "-D FOREGROUND"),
    ("cron", "-f"),
    ("cupsd", "-f"),
    ("dnsmasq", "--keep-in-foreground"),
    ("lighttpd", "-D"),
    ("nginx", "-g 'daemon off;'"),
    ("php-fpm", "-F"),
    ("redis-server", "--daemonize no"),
    ("shellinaboxd", "without --background"),
    ("smbd", "--foreground"),
    ("sshd", "-D"),
    ("transmission-daemon", "-f"),
    ("znc", "-f"),
];

/// The cause of a failed start, and a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// The event, as one clause.
    pub fact: String,
    /// The remedy.
    pub hint: String,
}

/// The conditions of a recipe that the first process waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    setup_s: Option<u32>,
    services: Vec<Wait>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Wait {
    name: String,
    program: String,
    timeout_s: u32,
    /// The condition of readiness, as text; `None`: none.
    waited: Option<String>,
}

impl Waits {
    /// Returns the conditions of a recipe.
    pub fn of(recipe: &Recipe) -> Self {
        let port = recipe.web.as_ref().map_or(0, |web| web.port);
        let services = recipe.services.iter().map(|service| Wait {
            name: service.name.clone(),
            program: service
                .command
                .first()
                .map_or("", |word| word.rsplit('/').next().unwrap_or(word))
                .to_owned(),
            timeout_s: service.timeout_s,
            waited: match &service.ready {
                Ready::Started => None,
                Ready::Socket(path) => Some(format!("a connection to {path}")),
                Ready::Http(path) => {
                    Some(format!("a response to GET {path} on port {port} with a status below 500"))
                }
                Ready::Port(port) => Some(format!("a connection to port {port}")),
                Ready::File(path) => Some(format!("the file {path}")),
            },
        });
        Waits { setup_s: recipe.setup.as_ref().map(|setup| setup.timeout_s), services: services.collect() }
    }

    /// Returns the remedy for a start with these last lines, if one is known.
    pub(super) fn remedy(&self, tail: &[String], listening: &[Listening]) -> Option<Remedy> {
        let own = tail.iter().rev().find_map(|line| Some(line.split_once(INIT)?.1))?;
        let last = tail.iter().rev().find(|line| !line.contains(INIT) && !line.trim().is_empty());
        let printed = match last {
            Some(line) => format!("the last that it printed is {:?}", line.trim()),
            None => "it printed nothing".to_owned(),
        };
        if own.starts_with("setup has not ended in time") {
            let limit = self.setup_s?;
            return Some(Remedy {
                fact: format!("setup took longer than {limit} s (`setup.timeout_s`); {printed}"),
                hint: "raise `timeout_s` of [setup], or see what it waits for".to_owned(),
            });
        }
        let named = |ending: &str| {
            let name = own.strip_prefix("service ")?.strip_suffix(ending)?;
            self.services.iter().find(|service| service.name == name)
        };
        if let Some(service) = named(" is not ready in time") {
            let waited = service.waited.as_deref().unwrap_or("its start");
            let (limit, name) = (service.timeout_s, &service.name);
            let listens = match listening {
                [] => "nothing listens in the grain".to_owned(),
                some => {
                    let some: Vec<String> = some.iter().map(ToString::to_string).collect();
                    format!("what listens in the grain is {}", some.join(", "))
                }
            };
            let hint = match listening {
                [] => format!("raise `timeout_s` of the service {name}, or see in its log what it waits for"),
                _ => format!(
                    "have {name} listen where it is waited for, or name the place where it listens in its `ready` \
                     (and `port` of [web]); if it is only slow, raise its `timeout_s`"
                ),
            };
            let fact = format!(
                "service {name} was not ready within {limit} s (`service.timeout_s`): it was waited for {waited}, and \
                 {listens}; {printed}"
            );
            return Some(Remedy { fact, hint });
        }
        let service = named(" ended with status 0")?;
        let known = FOREGROUND.iter().find(|(program, _)| service.program.starts_with(program));
        let option = match known {
            Some((program, option)) => format!("{program} {option}"),
            None => "often -f, -F, -D, --foreground or --nodaemon; its manual page or systemd unit has it"
                .to_owned(),
        };
        Some(Remedy {
            fact: format!(
                "service {} ended without a fault: it probably went to the background",
                service.name
            ),
            hint: format!("services stay in the foreground: give it the option for that ({option})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits() -> Waits {
        let service = |name: &str, program: &str, waited: Option<&str>| Wait {
            name: name.to_owned(),
            program: program.to_owned(),
            timeout_s: 60,
            waited: waited.map(str::to_owned),
        };
        Waits {
            setup_s: Some(120),
            services: vec![
                service("sync", "syncthing", Some("a connection to port 8000")),
                service("bt", "transmission-daemon", None),
                service("other", "thing", None),
            ],
        }
    }

    #[test]
    fn a_start_that_failed_is_told_with_its_limit_and_what_listens() {
        let told = |lines: &[&str], listening: &[Listening]| {
            let tail: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            waits().remedy(&tail, listening).map(|remedy| (remedy.fact, remedy.hint))
        };
        let late = ["GUI on 8384", "tinyroot-init: service sync is not ready in time"];
        let (fact, hint) = told(&late, &[Listening::Port(8384)]).expect("is known");
        assert_eq!(
            fact,
            "service sync was not ready within 60 s (`service.timeout_s`): it was waited for a connection to port 8000, \
             and what listens in the grain is port 8384; the last that it printed is \"GUI on 8384\""
        );
        assert!(hint.contains("`ready`"), "{hint}");
        let (fact, hint) = told(&late[1..], &[]).expect("is known");
        assert!(fact.ends_with("nothing listens in the grain; it printed nothing"), "{fact}");
        assert!(hint.starts_with("raise `timeout_s` of the service sync"), "{hint}");
        let (fact, _) = told(&["tinyroot-init: setup has not ended in time"], &[]).expect("is known");
        assert!(fact.starts_with("setup took longer than 120 s (`setup.timeout_s`)"), "{fact}");
        let (fact, hint) = told(&["tinyroot-init: service bt ended with status 0"], &[]).expect("is known");
        assert!(fact.ends_with("it probably went to the background"), "{fact}");
        assert!(hint.contains("(transmission-daemon -f)"), "{hint}");
        let (_, hint) = told(&["tinyroot-init: service other ended with status 0"], &[]).expect("is known");
        assert!(hint.contains("--nodaemon"), "{hint}");
        for other in ["tinyroot-init: service bt ended with status 1", "bye"] {
            assert_eq!(told(&[other], &[]), None);
        }
    }
}
