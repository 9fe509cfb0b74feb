//! Java: what the machine opens on its own when it comes to it, and jars that other jars name.

use std::io::{Cursor, Read as _};

use super::{Candidate, Decision, Facts, Needs, State, below, parent};
use crate::prune::PruneError;

/// A manifest is a few lines; one that is longer is not read to its end.
const MANIFEST_BYTES: u64 = 1 << 20;

/// A machine in use keeps the small libraries of its basic modules, which classes load by name, its settings,
/// and its time zones; a jar keeps the jars that its manifest names as its class path, which are opened once
/// a class is not in it (JAR File Specification, "Class-Path Attribute").
pub(super) fn java(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    if !candidate.is_file() {
        return Ok(());
    }
    if let Some(home) = candidate.bytes().strip_suffix(b"/lib/server/libjvm.so")
        && state.once("java", home)
    {
        for (path, entry) in facts.tree.subtree(home) {
            let inside = &path.as_bytes()[home.len()..];
            if !entry.kind.is_directory() && is_basic(inside.strip_prefix(b"/").unwrap_or_default()) {
                needs.want(path, "a basic part of Java, for");
            }
        }
    }
    if candidate.path.file_name().ends_with(b".jar") {
        let directory = parent(candidate.bytes()).unwrap_or_default();
        for jar in class_path(&facts.contents(candidate)?) {
            if let Some(path) = beside(directory, &jar) {
                needs.follow(&path, "on the class path of", facts);
            }
        }
    }
    Ok(())
}

/// Is this part of a JRE opened by code of java.base, java.management or other small modules, or by the
/// launcher? Not here are windows, sounds, debuggers, and the certificates of the network's authorities
/// (`cacerts`).
fn is_basic(path: &[u8]) -> bool {
    const PARTS: &[&[u8]] = &[
        b"lib/jspawnhelper",
        b"lib/jvm.cfg",
        b"lib/libextnet.so",
        b"lib/libinstrument.so",
        b"lib/libjava.so",
        b"lib/libjimage.so",
        b"lib/libjli.so",
        b"lib/libmanagement.so",
        b"lib/libmanagement_ext.so",
        b"lib/libnet.so",
        b"lib/libnio.so",
        b"lib/libprefs.so",
        b"lib/librmi.so",
        b"lib/libsyslookup.so",
        b"lib/libverify.so",
        b"lib/libzip.so",
        b"lib/tzdb.dat",
    ];
    let settings = below(path, &["conf", "lib/security"]) && !path.ends_with(b"/cacerts");
    settings || PARTS.contains(&path)
}

/// Returns the class path of a jar's manifest; nothing for a file that is not a jar.
pub(super) fn class_path(jar: &[u8]) -> Vec<String> {
    let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(jar)) else { return Vec::new() };
    let Ok(manifest) = archive.by_name("META-INF/MANIFEST.MF") else { return Vec::new() };
    let mut text = Vec::new();
    // The readable part of a damaged one is read; Java would refuse all of it.
    let _ = manifest.take(MANIFEST_BYTES).read_to_end(&mut text);
    // Lines of 72 bytes go on after a space.
    let text = String::from_utf8_lossy(&text).replace("\r\n", "\n").replace("\n ", "");
    let named = text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
    let paths = named.filter(|(name, _)| name.eq_ignore_ascii_case("Class-Path"));
    paths.flat_map(|(_, paths)| paths.split_ascii_whitespace().map(str::to_owned)).collect()
}

/// Returns the path of the root that an address beside a jar means.
pub(super) fn beside(directory: &[u8], address: &str) -> Option<Vec<u8>> {
    let address = address.strip_prefix("file:").unwrap_or(address);
    let start = if address.starts_with('/') { &b""[..] } else { directory };
    let mut parts: Vec<&[u8]> = start.split(|b| *b == b'/').filter(|part| !part.is_empty()).collect();
    for part in address.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part.as_bytes()),
        }
    }
    (!parts.is_empty()).then(|| parts.join(&b'/'))
}
