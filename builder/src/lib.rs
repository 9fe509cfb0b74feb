//! Turns Debian packages into tiny, sealed, per-app Debian roots, and runs them.
//!
//! The program is a line of stages. Each is a room with one entry function: it takes the value that the stage
//! before it gave, and gives one that is named for what was done. This is the tour, in the order of the line:
//! what each room takes and gives, and what it never does. `docs/architecture.md` has the picture.
//!
//! # The stages
//!
//! - [`recipe`]: a folder → `Recipe`, checked, or an error with file, line and column. Never: reach the
//!   network, start a program.
//! - [`archive`]: suite, mirrors, keys → `Archive`: the texts of signed indexes. Never: keep or return
//!   anything unverified; look into a .deb.
//! - [`resolve`]: indexes, request → `Resolution`: package, version, reason. Never: read a file, clock or
//!   environment.
//! - [`lock`]: `Resolution` ↔ `recipe.lock`. Never: hold a mirror; trust a lock that it reads.
//! - [`fetch`], [`pool`]: `Lock` → .debs in the store, checked by digest. Never: choose a version, look at an
//!   index.
//! - [`unpack`]: .debs → a tree for each, contents in the store. Never: run a script, write outside the
//!   store.
//! - [`assemble`]: trees → one tree, as dpkg leaves it, and who owns each path. Never: touch a file or the
//!   store.
//! - [`configure`]: that tree → `Configured`: maintainer scripts were run, their changes are a layer. Never:
//!   give scripts a network or a host path.
//! - [`npm`]: the sets of a recipe → their files, laid over the root. Never: run a script of a package.
//! - [`overlay`]: the root, the recipe → the root with the recipe's files: the full root. Never: read a clock
//!   or a host file.
//! - [`trace`]: the full root, the exercise → the uses of each path. Never: decide what is kept.
//! - [`prune`]: the root, its owners, the evidence, the recipe → `Plan`: a verdict and a reason for each
//!   path; and the pruned tree. Never: run a program, look at the host.
//! - [`reduce`]: the pruned tree → the same with shortened files. Never: decide what an app needs.
//! - [`image`]: a root → the tree that a grain boots: with init, services, and the first `/var`. Never: read
//!   a clock or a host file.
//! - [`papers`]: that tree and its sources → SBOM, provenance, licences, prune.list, the recipe, the proof.
//!   Never: depend on clock, user or order of a directory.
//! - [`prove`]: pruned and full tree, the exercise → `Proof`: every difference, every miss. Never: decide
//!   what is pruned.
//! - [`coverage`]: an image, what a run used of it → how much of the app its exercise reached, and what it did not.
//!   Never: run the app, decide what is kept.
//! - [`artifact`]: a finished image, a key → one signed file. Never: depend on clock, cores or user.
//! - [`mod@line`]: the stages in order, as a library for commands, benches and tests. Never: read the
//!   environment, print, choose an exit status.
//!
//! # From a package on
//!
//! - [`artifact`]: a package as a tree: signature checked, decompressed once. Never: return anything of a
//!   package that it refuses.
//! - [`grain`]: one running app with its own `/var`, ready, restartable, stoppable. Never: give it a network;
//!   leave anything behind.
//! - [`grain::library`]: the grains on disk. Never: start a grain.
//! - [`grain::runner`]: a grain in the foreground, a port of the loopback that leads to it. Never: listen on
//!   another address.
//! - [`serve`]: a page of apps and grains, an origin for each grain; `auth` alone decides access. Never:
//!   trust an app.
//! - [`proxy`], [`web`]: bytes between a browser and a grain; HTTP heads, bodies, text as HTML. Never: decide
//!   access.
//! - [`difference`]: two trees that should be the same → where they are not, down to line, section or member.
//!   Never: write anything, believe what a file claims to be.
//! - [`attestation`]: the signed word of those who made a package again. Never: count a key that the reader did
//!   not name.
//! - [`operand`]: a package, an image, a tar, a .deb or a directory → what `diff` compares. Never: write next to
//!   it, start a program.
//! - [`history`]: a recipe folder in a repository → what changed by commit, and the sizes that were recorded.
//!   Never: build, or guess a size.
//! - [`diff`]: two trees → sizes by package and path. Never: read files.
//! - [`reasons`]: an artifact's papers → why each file is in it, as a graph, and what would go with each reason.
//!   Never: decide what is kept.
//!
//! - [`draft`]: the packages of an app → the beginnings of its recipe, with the place of each guess. Never: write a
//!   file, start a program.
//! - [`record`]: the exchanges between a person's browser and an app → steps of an exercise. Never: write a file, speak
//!   to an app.
//! - [`attempt`]: a recipe that was begun, on its full root → how its first start ended, why, and how the recipe is
//!   mended. Never: choose a version, write a file of the recipe.
//!
//! # Below the stages
//!
//! - [`tree`], [`layer`], [`layout`], [`digest`]: a root as a value and as text; the difference of two;
//!   tinyroot's own paths in an image; SHA-256. Never: touch a file system.
//! - [`store`], [`seal`], [`closed`]: contents by digest, written once, shared by processes; sealed; closed
//!   to other users. Never: change an entry in place; trust the disk.
//! - [`view`]: a tree over FUSE; records each use and each miss. Never: write; follow a host path.
//! - [`render`]: a tree as a directory.
//! - [`exercise`]: the conversation with an app → `Transcript`. Never: start a program.
//! - [`evidence`]: the known uses of paths: `used.list`, misses and their report, merging. Never: decide what
//!   is pruned.
//! - [`sandbox`]: a program in namespaces of its own. Never: give it anything that was not named.
//! - [`download`]: files of mirrors and registries: retries, proxies. Never: decide what is fetched.
//! - [`git`]: a folder as the commits of its repository have it. Never: run anything of the repository's; fetch.
//! - [`formats`]: bytes → values, for each format. Never: read a file, clock or environment.
//! - [`sys`], [`error`], [`files`]: one safe function for each system call; the error of a file, hints, and
//!   the chain of sources; the calls of `std::fs` with that error.
//! - [`signing_keys`]: signing keys and their keyring. Never: print a key.
//! - [`atomic`], [`deep`], [`shutdown`], [`threads`], [`progress`], [`shown`]: atomic files; deep
//!   directories; stop requests; worker threads; progress; escaped text.
//! - [`report`]: what was found, as values with renderers for text, Markdown and JSON. Never: run an app,
//!   print.
//! - [`cli`]: one file for each command: arguments, calls, output, exit status.
//! - `testing`: made packages, archives and servers, for tests only.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod archive;
pub mod artifact;
pub mod assemble;
pub mod atomic;
pub mod attempt;
pub mod attestation;
pub mod cli;
pub mod closed;
pub mod configure;
pub mod coverage;
pub mod deep;
pub mod diff;
pub mod difference;
pub mod digest;
pub mod download;
pub mod draft;
pub mod error;
pub mod evidence;
pub mod exercise;
pub mod fetch;
pub mod files;
pub mod formats;
pub mod git;
pub mod grain;
pub mod history;
pub mod image;
pub mod kube;
pub mod layer;
pub mod layout;
pub mod line;
pub mod lock;
pub mod npm;
pub mod operand;
pub mod overlay;
pub mod papers;
pub mod pool;
pub mod progress;
pub mod prove;
pub mod proxy;
pub mod prune;
pub mod reasons;
pub mod recipe;
pub mod record;
pub mod reduce;
pub mod remote;
pub mod render;
pub mod report;
pub mod resolve;
pub mod sandbox;
pub mod seal;
pub mod serve;
pub mod shown;
pub mod shutdown;
pub mod signing_keys;
pub mod store;
pub mod sys;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threads;
pub mod trace;
pub mod tree;
pub mod unpack;
pub mod view;
pub mod web;
