//! Files that a start of a program needs: libraries, the loader, interpreters, and those that the C library
//! itself loads when it comes to it.

use super::{Candidate, Decision, Facts, Needs, RECIPE, State, parent};
use crate::{formats::elf::linkage::Linkage, prune::PruneError, tree::TreePath};

/// `DT_NEEDED` and `PT_INTERP` of every kept ELF file, found as the loader finds them
/// (`ld.so(8)`, "Dynamic string tokens" and the order of search).
pub(super) fn libraries(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    let Some(elf) = facts.elf(candidate)? else { return Ok(()) };
    if let Some(interpreter) = &elf.interpreter {
        needs.follow(interpreter, "the loader of", facts);
    }
    if elf.needed.is_empty() {
        return Ok(());
    }
    let inherited = state.inherited.get(candidate.path).cloned().unwrap_or_default();
    let mut directories = elf.directories(candidate.bytes(), &inherited);
    // A library inherits RPATH alone, and its own RUNPATH ends with itself.
    let mut passed_on: Vec<Vec<u8>> = Vec::new();
    if elf.runpath.is_empty() {
        passed_on.clone_from(&directories);
    }
    directories.extend(configured_directories(facts)?);
    directories.extend(elf.system_directories());
    for name in &elf.needed {
        let Some(found) = locate(name, &elf, &directories, facts)? else {
            missing(candidate, name, facts);
            continue;
        };
        let reason = format!("{} NEEDED by", name.escape_ascii());
        if needs.follow(&found, &reason, facts)
            && !passed_on.is_empty()
            && let Some(end) = facts.tree.resolve(&found, |_| {})
        {
            state.inherited.entry(end).or_insert_with(|| passed_on.clone());
        }
    }
    Ok(())
}

/// Notes a library that a program which ran cannot have found either, and so loads otherwise; for
/// what was never run it says that it cannot run.
fn missing(candidate: &Candidate<'_>, name: &[u8], facts: &Facts<'_>) {
    if !candidate.contents_used() {
        facts.note(format!("/{} needs {}, which is not in the root", candidate.path, name.escape_ascii()));
    }
}

/// Returns the path under which the loader finds a library.
fn locate(
    name: &[u8],
    elf: &Linkage,
    directories: &[Vec<u8>],
    facts: &Facts<'_>,
) -> Result<Option<Vec<u8>>, PruneError> {
    if name.contains(&b'/') {
        return Ok(facts.tree.resolve(name, |_| {}).is_some().then(|| name.to_vec()));
    }
    for directory in directories {
        let candidate = [directory, &b"/"[..], name].concat();
        let Some(end) = facts.tree.resolve(&candidate, |_| {}) else { continue };
        let Some(end) = facts.lookup(end.as_bytes()) else { continue };
        let fits = facts.elf(&end)?;
        if fits.is_some_and(|found| found.machine == elf.machine && found.is_64 == elf.is_64) {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// Returns the directories of `/etc/ld.so.conf` and what it includes.
fn configured_directories(facts: &Facts<'_>) -> Result<Vec<Vec<u8>>, PruneError> {
    let mut out = Vec::new();
    let mut paths: Vec<TreePath> = facts.tree.children(b"etc/ld.so.conf.d").map(|(p, _)| p.clone()).collect();
    paths.retain(|path| path.as_bytes().ends_with(b".conf"));
    paths.extend(TreePath::new(b"etc/ld.so.conf").ok());
    for path in &paths {
        let Some(file) = facts.lookup(path.as_bytes()) else { continue };
        let text = facts.head(&file, 1 << 14)?;
        for line in text.split(|b| *b == b'\n') {
            let line = line.trim_ascii();
            if line.starts_with(b"/") {
                out.push(line.to_vec());
            }
        }
    }
    Ok(out)
}

/// The interpreter that a script's first line names, for scripts that ran or that the recipe
/// wants. A script of the app that nothing ran does not pull in a whole language: what is left out
/// is noted once a language.
pub(super) fn interpreter(
    candidate: &Candidate<'_>,
    decision: &Decision,
    facts: &Facts<'_>,
    _: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    let executable = candidate.is_file() && candidate.entry.mode & 0o111 != 0;
    let executed = candidate.used.is_some_and(|used| used.executed);
    if !executable && !executed {
        return Ok(());
    }
    let head = facts.head(candidate, 256)?;
    let Some(candidates) = shebang(&head) else { return Ok(()) };
    if executed || decision.rule == RECIPE || decision.rule == "laid" {
        for candidate in candidates {
            if needs.follow(&candidate, "the interpreter of", facts) {
                break;
            }
        }
    }
    Ok(())
}

/// Returns the paths at which the interpreter of a script may lie, the first that exists being it.
fn shebang(head: &[u8]) -> Option<Vec<Vec<u8>>> {
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let mut words = line.split(|b| b" \t\r".contains(b)).filter(|w| !w.is_empty());
    let program = words.next()?;
    if !program.ends_with(b"/env") {
        return Some(vec![program.to_vec()]);
    }
    let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
    let mut out: Vec<Vec<u8>> = Vec::new();
    for directory in ["usr/local/bin/", "usr/sbin/", "usr/bin/"] {
        out.push([directory.as_bytes(), name].concat());
    }
    Some(out)
}

/// glibc loads `libgcc_s.so.1` when a thread is cancelled or ends itself, and aborts without it
/// (`pthread_cancel` in its manual, section "Thread Cancellation"); no good run shows that.
pub(super) fn threads(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    _: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    if candidate.is_file()
        && candidate.path.file_name() == b"libc.so.6"
        && let Some(directory) = parent(candidate.bytes())
    {
        needs.follow(&[directory, b"/libgcc_s.so.1"].concat(), "loaded when a thread ends by", facts);
    }
    Ok(())
}

/// The modules that `/etc/nsswitch.conf` names, as far as they are installed (`nsswitch.conf(5)`);
/// `files` and `dns` are within the C library itself since glibc 2.34.
pub(super) fn name_services(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    let is_libc = candidate.is_file() && candidate.path.file_name() == b"libc.so.6";
    if !is_libc || !state.once("nss", candidate.bytes()) {
        return Ok(());
    }
    let Some(file) = facts.lookup(b"etc/nsswitch.conf") else { return Ok(()) };
    let text = facts.head(&file, 1 << 14)?;
    let directory = parent(candidate.bytes()).unwrap_or_default();
    for line in text.split(|b| *b == b'\n') {
        let line = line.split(|b| *b == b'#').next().unwrap_or_default();
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        for service in line[colon + 1..].split(|b| b" \t[]".contains(b)) {
            let known = service.is_empty() || service == b"files" || service == b"dns";
            if !known && service.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                let module = [directory, b"/libnss_", service, b".so.2"].concat();
                needs.follow(&module, "named in nsswitch.conf and loaded by", facts);
            }
        }
    }
    Ok(())
}
