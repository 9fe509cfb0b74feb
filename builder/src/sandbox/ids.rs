//! Who a program is inside, and who that is outside.

use std::{fmt, io, path::Path, process::Command, sync::OnceLock};

use rustix::thread::CapabilitySet;

use crate::{error::At as _, files, sys};

/// Who a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Ids {
    /// One unprivileged user, uid and gid 1000, without any capability. Outside it is [`grain_host_id`].
    Grain,
    /// Root, as maintainer scripts need it.
    RootLike(Way),
}

/// How a program gets to be root-like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Way {
    /// We are root: all ids are themselves.
    Root,
    /// 0 is our own id, the others are those that `/etc/subuid` and `/etc/subgid` give us (`newuidmap(1)`).
    Subordinate,
    /// 0 is our own id and the only one; a filter reports success for calls that would need another
    /// ([`super::filter`]).
    Single,
    /// We are root where no name space can be made and nothing be mounted, as in most containers: ids are
    /// what they are there, and the root is entered by `chroot(2)` ([`super::chroot`]).
    Chroot,
}

impl Way {
    /// Every way, the most faithful first.
    pub const ALL: [Way; 4] = [Way::Root, Way::Subordinate, Way::Single, Way::Chroot];

    /// Returns whether files can be given away and programs change their ids; else a filter only says so.
    pub fn has_owners(self) -> bool {
        match self {
            Way::Root | Way::Subordinate => true,
            Way::Single => false,
            Way::Chroot => is_full_root(),
        }
    }

    /// Returns the way of a name: `root`, `subordinate`, `single` or `chroot`. `None` for any other.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "root" => Some(Way::Root),
            "subordinate" => Some(Way::Subordinate),
            "single" => Some(Way::Single),
            "chroot" => Some(Way::Chroot),
            _ => None,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Root => "root",
            Way::Subordinate => "subordinate ids",
            Way::Single => "a single id",
            Way::Chroot => "chroot",
        })
    }
}

/// Uid and gid of a grain inside: those of Sandstorm.
pub(super) const GRAIN_ID: u32 = 1000;

/// The id that a grain is on a host whose root starts it: of the range that Debian Policy 9.2.2 reserves
/// (65000–65533), so no account has it, and below 65536, so containers have it.
const UNPRIVILEGED_ID: u32 = 65533;

/// The capabilities that root needs to give files away, to read them all the same, and to map ids
/// (`user_namespaces(7)`).
const FULL: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP);

/// One line of `/proc/PID/uid_map`: inside, outside, how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl IdMap {
    /// Returns the inside number of an id outside; itself where no map has it.
    pub fn inside(maps: &[IdMap], outside: u32) -> u32 {
        let found = maps.iter().find(|m| outside >= m.outside && outside - m.outside < m.count);
        found.map_or(outside, |m| m.inside + (outside - m.outside))
    }
}

/// Returns uid and gid that own a grain's files on the host: our own, or, if we are root, those of the user
/// `nobody`. A grain's `/var` must belong to them.
pub fn grain_host_id() -> (u32, u32) {
    if is_full_root() { (unprivileged_id("uid_map"), unprivileged_id("gid_map")) } else { own_ids() }
}

/// Returns true if we are root and can be so fully: with the 65535 ids that Debian's accounts may use, and
/// the capabilities to give files to them, which a container may have dropped.
pub fn is_full_root() -> bool {
    let many = |map| known_ids(map).iter().map(|m| u64::from(m.count)).sum::<u64>() >= 65535;
    own_ids().0 == 0 && root_lacks().is_none() && many("uid_map") && many("gid_map")
}

/// Returns the names of the missing capabilities that root needs here, with commas; `None` for root that has
/// them and for others.
pub(super) fn root_lacks() -> Option<String> {
    if own_ids().0 != 0 {
        return None;
    }
    let error = sys::process::require_capabilities(FULL).err()?;
    Some(error.call.trim_start_matches("capget() without ").to_owned())
}

/// Returns our own uid and gid.
pub(super) fn own_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

fn unprivileged_id(map: &str) -> u32 {
    let known = known_ids(map);
    let has = |id: u32| known.iter().any(|m| (m.inside..m.inside.saturating_add(m.count)).contains(&id));
    if has(UNPRIVILEGED_ID) {
        return UNPRIVILEGED_ID;
    }
    known.iter().map(|m| m.inside.saturating_add(m.count - 1)).max().unwrap_or(UNPRIVILEGED_ID)
}

/// Returns the ids that exist where we are, as ranges of the present namespace.
fn known_ids(map: &str) -> Vec<IdMap> {
    let text = files::read_to_string(Path::new("/proc/self").join(map)).unwrap_or_default();
    let parsed: Vec<IdMap> = text.lines().filter_map(parse_map_line).collect();
    if parsed.is_empty() { vec![IdMap { inside: 0, outside: 0, count: u32::MAX }] } else { parsed }
}

fn parse_map_line(line: &str) -> Option<IdMap> {
    let mut words = line.split_ascii_whitespace().map(str::parse);
    let (inside, outside) = (words.next()?.ok()?, words.next()?.ok()?);
    let count = words.next()?.ok()?;
    (count > 0).then_some(IdMap { inside, outside, count })
}

/// Returns every known id as itself, but `a` and `b` exchanged. The monitor of a grain keeps its power over
/// every file of the host that we, as root, have, and yet 1000 inside is an id that nothing on the host
/// belongs to.
fn exchanged(known: &[IdMap], a: u32, b: u32) -> Vec<IdMap> {
    let mut out = Vec::new();
    for range in known {
        let (mut at, end) = (u64::from(range.inside), u64::from(range.inside) + u64::from(range.count));
        while at < end {
            let special = [a, b].map(u64::from).into_iter().filter(|s| *s >= at && *s < end).min();
            let stop = special.unwrap_or(end);
            if stop > at {
                let (first, count) = (at as u32, (stop - at) as u32);
                out.push(IdMap { inside: first, outside: first, count });
            }
            if let Some(special) = special {
                let inside = special as u32;
                out.push(IdMap { inside, outside: if inside == a { b } else { a }, count: 1 });
            }
            at = stop + 1;
        }
    }
    out
}

fn identity(known: &[IdMap]) -> Vec<IdMap> {
    known.iter().map(|m| IdMap { inside: m.inside, outside: m.inside, count: m.count }).collect()
}

/// The maps of one sandbox, and how they are written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Maps {
    pub uid: Vec<IdMap>,
    pub gid: Vec<IdMap>,
    /// By `newuidmap` and `newgidmap`.
    pub helper: bool,
    /// Whether `setgroups` must be given up first (`user_namespaces(7)`).
    pub deny_groups: bool,
}

impl Ids {
    pub(super) fn is_chroot(self) -> bool {
        self == Ids::RootLike(Way::Chroot)
    }

    /// Returns which user and group ids inside are which outside.
    ///
    /// # Errors
    /// No subordinate ids where those are wanted.
    pub fn id_maps(self) -> io::Result<(Vec<IdMap>, Vec<IdMap>)> {
        self.maps().map(|maps| (maps.uid, maps.gid))
    }

    /// Returns the maps that make these ids.
    pub(super) fn maps(self) -> io::Result<Maps> {
        let (uid, gid) = own_ids();
        let one = |inside, outside| vec![IdMap { inside, outside, count: 1 }];
        let own =
            |inside| Maps { uid: one(inside, uid), gid: one(inside, gid), helper: false, deny_groups: true };
        let (uids, gids) = (known_ids("uid_map"), known_ids("gid_map"));
        Ok(match self {
            Ids::Grain if is_full_root() => Maps {
                uid: exchanged(&uids, GRAIN_ID, unprivileged_id("uid_map")),
                gid: exchanged(&gids, GRAIN_ID, unprivileged_id("gid_map")),
                helper: false,
                deny_groups: false,
            },
            Ids::Grain => own(GRAIN_ID),
            Ids::RootLike(Way::Root | Way::Chroot) => {
                Maps { uid: identity(&uids), gid: identity(&gids), helper: false, deny_groups: false }
            }
            Ids::RootLike(Way::Subordinate) => Maps {
                uid: subordinate(uid, uid, "/etc/subuid")?,
                gid: subordinate(uid, gid, "/etc/subgid")?,
                helper: true,
                deny_groups: false,
            },
            Ids::RootLike(Way::Single) => own(0),
        })
    }
}

/// Returns 0 as `own` and 1… as what the file gives to the user.
fn subordinate(uid: u32, own: u32, file: &str) -> io::Result<Vec<IdMap>> {
    let text = files::read_to_string(file)?;
    let (outside, count) = subordinate_range(&text, &user_names(uid))
        .ok_or_else(|| io::Error::other(format!("{file} gives user {uid} no 65535 ids in one piece")))?;
    Ok(vec![IdMap { inside: 0, outside: own, count: 1 }, IdMap { inside: 1, outside, count }])
}

/// The first range of 65535 ids or more for one of the names (`subuid(5)`); scripts use 65534 (nobody).
fn subordinate_range(text: &str, names: &[String]) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (start, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        (names.iter().any(|n| n == name) && count >= 65535).then_some((start, 65535))
    })
}

/// Returns the names of a user in `subuid(5)`: the number, and the name in `/etc/passwd`.
fn user_names(uid: u32) -> Vec<String> {
    let number = uid.to_string();
    let passwd = files::read_to_string("/etc/passwd").unwrap_or_default();
    let named = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    let mut names: Vec<String> = named.collect();
    names.push(number);
    names
}

impl Maps {
    /// Writes the maps of a process that waits for them in a namespace of its own.
    pub(super) fn write(&self, pid: u32) -> io::Result<()> {
        let directory = Path::new("/proc").join(pid.to_string());
        if self.helper {
            map_by_helper("newuidmap", pid, &self.uid)?;
            return map_by_helper("newgidmap", pid, &self.gid);
        }
        if self.deny_groups {
            write_proc(&directory.join("setgroups"), "deny")?;
        }
        write_proc(&directory.join("uid_map"), &text(&self.uid))?;
        write_proc(&directory.join("gid_map"), &text(&self.gid))
    }
}

fn text(maps: &[IdMap]) -> String {
    maps.iter().map(|m| format!("{} {} {}\n", m.inside, m.outside, m.count)).collect()
}

fn write_proc(path: &Path, text: &str) -> io::Result<()> {
    Ok(files::write(path, text)?)
}

fn map_by_helper(program: &str, pid: u32, maps: &[IdMap]) -> io::Result<()> {
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for map in maps {
        command.args([map.inside, map.outside, map.count].map(|n| n.to_string()));
    }
    let output = command.output().at("run", program)?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {}", words.trim_end())))
}

/// The way that a user chose for this process.
static CHOSEN: OnceLock<Way> = OnceLock::new();

/// Chooses a way for all sandboxes of this process, in place of the most faithful one. Called once, before
/// the first sandbox.
pub fn choose_way(way: Way) {
    let _ = CHOSEN.set(way);
}

/// Returns the way that was chosen: no other one will do then.
pub fn chosen_way() -> Option<Way> {
    CHOSEN.get().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(rows: &[(u32, u32, u32)]) -> Vec<IdMap> {
        rows.iter().map(|&(inside, outside, count)| IdMap { inside, outside, count }).collect()
    }

    #[test]
    fn two_ids_change_places_and_the_others_stay() {
        let all = maps(&[(0, 0, u32::MAX)]);
        let expected = [
            (0, 0, 1000),
            (1000, 65533, 1),
            (1001, 1001, 64532),
            (65533, 1000, 1),
            (65534, 65534, u32::MAX - 65534),
        ];
        assert_eq!(exchanged(&all, 1000, 65533), maps(&expected));
        let container = maps(&[(0, 100_000, 1), (1, 200_000, 1000)]);
        assert_eq!(
            exchanged(&container, 1000, 999),
            maps(&[(0, 0, 1), (1, 1, 998), (999, 1000, 1), (1000, 999, 1)])
        );
    }

    #[test]
    fn subordinate_ranges_go_by_name_or_number() {
        let file = "root:1:2\nalice:100000:65536\n1001:300000:1000\n1001:400000:70000\n";
        let names = |n: &[&str]| n.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(subordinate_range(file, &names(&["1000", "alice"])), Some((100_000, 65535)));
        assert_eq!(subordinate_range(file, &names(&["1001"])), Some((400_000, 65535)));
        assert_eq!(subordinate_range(file, &names(&["root"])), None);
    }
}
