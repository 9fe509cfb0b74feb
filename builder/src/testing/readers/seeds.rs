//! What each reader begins with: small and sound inputs from our own makers. `cargo run --example seeds`
//! writes them.

use std::{collections::BTreeMap, io::Write as _};

use crate::{
    artifact::{Format, readers},
    attestation::Statement,
    digest::Digest,
    formats::{
        capnp::{self, Piece},
        dsse, elf, icu_data, jimage,
        key_file::{self, Key as AppKey},
        manifest::{self, Manifest},
        module_info,
        packages::table::Table,
        sigstore, spk, xz,
    },
    remote,
    testing::{ARCHIVE_TIME_S, Compression, Key, MadeArchive, deb},
    tree::{Entry, Tree, TreePath},
};

/// An input to begin with.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The name of its reader.
    pub reader: &'static str,
    /// Its own name.
    pub name: String,
    /// Itself.
    pub bytes: Vec<u8>,
}

/// Returns all seeds, the same each time.
pub fn seeds() -> Vec<Seed> {
    let mut all = Vec::new();
    let mut add = |reader: &'static str, name: &str, bytes: Vec<u8>| {
        all.push(Seed { reader, name: name.to_owned(), bytes });
    };
    of_packages(&mut add);
    of_debian(&mut add);
    of_contents(&mut add);
    of_cache(&mut add);
    of_differences(&mut add);
    of_attestations(&mut add);
    of_messages(&mut add);
    for (reader, name, text) in TEXTS {
        add(reader, name, text.as_bytes().to_vec());
    }
    all
}

type Add<'a> = &'a mut dyn FnMut(&'static str, &str, Vec<u8>);

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a sound path")
}

/// Frames of a WebSocket's server: texts, fragments with a ping between them, a long binary, a close.
fn of_messages(add: Add<'_>) {
    add("websocket", "texts", b"\x81\x05Hello\x01\x03Hel\x89\x02hi\x80\x02lo\x8a\x00".to_vec());
    add("websocket", "long", [&b"\x82\x7e\x01\x00"[..], &[7; 256], b"\x88\x05\x03\xe8bye"].concat());
}

/// An archive message of a few entries, with a manifest.
fn of_packages(add: Add<'_>) {
    let mut described = Manifest::for_init("A wiki", "1.0", 1, "wiki");
    described.metadata.website = "https://example.org/".into();
    described.actions[0].command.environ = vec![("A".into(), "b c".into())];
    let described = described.to_bytes();
    let contents: [&[u8]; 3] = [&described, b"#!/bin/sh\n", b""];
    let file = |index: usize, mode| {
        Entry::file(Digest::of(contents[index]), contents[index].len() as u64, mode, 1_600_000_000)
    };
    let mut tree = Tree::new();
    tree.insert(path(manifest::FILE_NAME), file(0, 0o644));
    tree.insert(path("usr/bin/hello"), file(1, 0o755));
    tree.insert(path("var/empty"), file(2, 0o644));
    tree.insert(path("bin"), Entry::symlink("usr/bin", 0));
    tree.add_parents(0);
    let written = spk::write_archive(&tree, |_| 0).expect("a small tree");
    let mut archive = Vec::new();
    for piece in &written.message.pieces {
        match piece {
            Piece::Bytes(bytes) => archive.extend_from_slice(bytes),
            Piece::Content { id, .. } => {
                let digest = written.contents[*id];
                archive.extend(
                    contents.iter().find(|bytes| Digest::of(bytes) == digest).expect("is one").iter(),
                );
            }
        }
    }
    add("archive", "small", archive.clone());
    add("archive", "nothing", capnp::message_bytes(&capnp::Value::Struct { data: vec![], pointers: vec![] }));
    add("manifest", "small", described);
    let key = AppKey::from_seed([7; 32]);
    for (reader, format) in
        [("squashfs", Format::Squashfs), ("erofs", Format::Erofs), ("layout", Format::Oci)]
    {
        add(reader, "small", readers::made(format));
    }
    add("keys", "text", key_file::to_text(&key.to_bytes()).into_bytes());
    add("keys", "two", [key.to_bytes(), AppKey::from_seed([8; 32]).to_bytes()].concat());
    let signature = spk::sign(&key, &[5; 64]);
    add("signature", "good", signature.clone());
    let block = |plain: &[u8], filter| {
        xz::encode_block(plain, plain.len() as u64, filter, xz::Effort::Best).expect("memory takes it")
    };
    let blocks = [block(&signature, &xz::Filter::DATA), block(&archive, &xz::Filter::X86)];
    add("block", "data", blocks[0].bytes.clone());
    let records: Vec<_> = blocks.iter().map(xz::Block::record).collect();
    let parts =
        [xz::stream_header(), blocks[0].bytes.clone(), blocks[1].bytes.clone(), xz::stream_end(&records)];
    let stream = parts.concat();
    for (name, level) in [("stored", 0), ("fast", 1), ("best", 9)] {
        let mut plain = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        plain.write_all(&archive.repeat(3)).expect("memory takes it");
        add("deflate", name, plain.finish().expect("memory takes it"));
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(b"green tea").expect("memory takes it");
    add("deflate", "gzip", gzip.finish().expect("memory takes it"));
    let zstd = zstd::encode_all(&archive.repeat(3)[..], 3).expect("memory takes it");
    let raw = [&b"\x28\xb5\x2f\xfd\0\x38"[..], &[0x18, 0, 0], b"tea", &[0x83, 0x3e, 0, b' ']].concat();
    add("blocks", "zstd", [&zstd[..], b"\x50\x2a\x4d\x18\x03\0\0\0xyz", &raw].concat());
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&archive).expect("memory takes it");
    add("blocks", "bzip2", bzip2.finish().expect("memory takes it"));
    add("xz", "parts", vec![0, 1, 2, 7]);
    add("xz", "two-blocks", stream.clone());
    add("xz", "two-streams", [&stream[..], &stream[..], &[0; 4]].concat());
}

/// A small archive: its index, its Release file signed in both ways, and its keys.
fn of_debian(add: Add<'_>) {
    let hello = deb("hello")
        .field("Depends", "libc6 (>= 2.36) | libc6.1, awk")
        .field("Provides", "hello-world (= 1.0)")
        .field("Description", "a greeting\n more of it\n .");
    let made = MadeArchive::new("bookworm")
        .add(hello.clone())
        .add(deb("libc6").version("1:2.36-9").field("Essential", "yes"));
    let index = made.packages("main");
    add("packages", "two", index.clone().into_bytes());
    add(
        "packages",
        "foreign",
        b"Package: a\nVersion: 1\nArchitecture: arm64\n\nPackage: ?\nVersion:\n\n".to_vec(),
    );
    for (name, compression) in [
        ("gz", Compression::Gzip),
        ("bz2", Compression::Bzip2),
        ("xz", Compression::Xz),
        ("zst", Compression::Zstd),
    ] {
        add("index", name, super::super::deb::compress(compression, index.as_bytes()).1);
    }
    add("control", "hello", hello.stanza().into_bytes());
    add(
        "relations",
        "two",
        b"libc6:any (>= 2.36-9) [amd64 !arm64] <!nocheck>, a | b (<< 1:1.0~rc1-2)\n1:1.0~rc1-2\n1.0+b1"
            .to_vec(),
    );
    let table = Table::make(index.as_bytes(), "amd64").expect("short").to_bytes();
    let length = u16::try_from(table.len()).expect("a small table").to_le_bytes();
    add("table", "two", [&length[..], &table, index.as_bytes()].concat());
    let release = format!(
        "Origin: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nValid-Until: Sat, 18 Jul 2026 \
         10:16:37 UTC\nAcquire-By-Hash: yes\nArchitectures: all amd64\nComponents: main\nSHA256:\n {} {} \
         main/binary-amd64/Packages\n {} 40 main/binary-amd64/Packages.xz\n",
        Digest::of(index.as_bytes()),
        index.len(),
        Digest::of(b"x")
    );
    add("release", "small", release.clone().into_bytes());
    let key = Key::new(1);
    add("in_release", "clear-signed", key.sign(&release, ARCHIVE_TIME_S).into_bytes());
    let apart = format!("{release}\n---\n{}", key.sign_apart(&release, ARCHIVE_TIME_S));
    add("in_release", "signed-apart", apart.into_bytes());
    add("keyring", "one", key.armored().into_bytes());
    add("keyring", "with-subkey", Key::new(2).lives_s(900).with_subkey().armored().into_bytes());
}

/// Packages, and files that are looked into.
fn of_contents(add: Add<'_>) {
    for (name, compression) in [
        ("plain", Compression::None),
        ("gz", Compression::Gzip),
        ("xz", Compression::Xz),
        ("zst", Compression::Zstd),
    ] {
        let whole = deb("hello")
            .file("usr/bin/hello", 0o755, "hi\n")
            .symlink("usr/bin/hi", "hello")
            .hard_link("usr/bin/hallo", "usr/bin/hello")
            .script("postinst", "#!/bin/sh\nset -e\n")
            .compression(compression)
            .build();
        if compression == Compression::None {
            // The tar alone: behind the magic and three headers, of which the second tells a length.
            let size = std::str::from_utf8(&whole[72 + 48..72 + 58]).expect("digits");
            let control_bytes: usize = size.trim().parse().expect("a number");
            let data = whole[132 + control_bytes.next_multiple_of(2) + 60..].to_vec();
            add("npm_tarball", "tar", data.clone());
            add("tar", "control", whole[132..132 + control_bytes].to_vec());
            add("tar", "data", data);
        }
        add("deb", name, whole);
    }
    let long = format!("usr/share/{}/file", "d".repeat(120));
    let long = deb("long").file(&long, 0o644, "x").compression(Compression::None).build();
    add("deb", "long-name", long);
    let package =
        deb("left-pad").file("package/package.json", 0o644, "{}").file("package/index.js", 0o755, "1");
    add("npm_tarball", "small", package.tarball());
    add(
        "npm_lock",
        "small",
        format!(
            r#"{{"lockfileVersion":3,"packages":{{"":{{}},"node_modules/@a/b":{{"version":"1.0.0","integrity":"{}","resolved":"https://r/@a/b/-/b-1.0.0.tgz","license":"MIT"}},"node_modules/c/node_modules/d":{{"version":"2","integrity":"{}","dev":true}}}}}}"#,
            package.integrity(),
            package.integrity()
        )
        .into_bytes(),
    );
    let exports = [("made_one", 2), ("made_two", 2), ("made_data", 1), ("_init", 2)];
    let library = elf::image::made::Made {
        soname: "libmade.so.1",
        needed: &["libc.so.6"],
        imports: &["malloc", "made_elsewhere"],
        exports: &exports,
        relocated: &["malloc", "made_one"],
        ..Default::default()
    };
    add("elf", "library", library.bytes());
    add(
        "elf",
        "program",
        elf::image::made::Made { program: true, words: "dlopen made_two", ..library }.bytes(),
    );
    let items: [(&str, &[u8]); 4] =
        [("cnvalias.icu", b"aliases"), ("coll/de.res", b"de"), ("de.res", b"german"), ("root.res", b"root")];
    add("icu", "small", icu_data::made("icudt72l", &items));
    let infos = [("java.base", &[][..]), ("java.xml", &["java.base"][..])]
        .map(|(name, needs)| module_info::made(name, needs));
    add("module_info", "xml", infos[1].clone());
    let modules = jimage::made::made(&[
        ("java.base", &[("module-info.class", &infos[0]), ("java/lang/Object.class", b"object")]),
        (
            "java.xml",
            &[("module-info.class", &infos[1]), ("java/lang/X.class", b"x"), ("javax/Y.class", b"y")],
        ),
    ]);
    add("jimage", "two", modules);
    add("jar", "small", jar());
    let text = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
    let certificate = [&text("X.509")[..], &3_u32.to_be_bytes(), b"abc"].concat();
    let mut store = [0xfeed_feed_u32, 2, 1, 2].map(u32::to_be_bytes).concat();
    store.extend([&text("debian:one")[..], &1_u64.to_be_bytes(), &certificate].concat());
    add("key_store", "one", store);
}

fn jar() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, text) in [
        (
            "META-INF/MANIFEST.MF",
            "Manifest-Version: 1.0\r\nClass-Path: a.jar ../lib/b\r\n .jar file:/c.jar\r\n",
        ),
        ("A.class", ""),
    ] {
        writer.start_file(name, options).expect("a short name");
        writer.write_all(text.as_bytes()).expect("memory takes it");
    }
    writer.finish().expect("memory takes it").into_inner()
}

/// A statement about the empty file, as one key signed it, and the statement alone.
fn of_attestations(add: Add<'_>) {
    let statement = Statement {
        name: "x.spk",
        digest: Digest::of(b""),
        proof: "none",
        version: "0.1.0",
        materials: &[],
        host: &BTreeMap::new(),
    };
    let signed = statement.sign(&AppKey::from_seed([7; 32]));
    let read = dsse::Envelope::read(&signed).expect("is one");
    add("attestation", "statement", read.payload);
    add("attestation", "envelope", signed);
    add("attestation", "bundle", sigstore::sign(&AppKey::from_seed([7; 32]), &Digest::of(b"")));
    let entry = remote::Statement { digest: Digest::of(b""), size_bytes: 0, plain_bytes: 30 };
    let signed = entry.sign("deb/x", &AppKey::from_seed([7; 32]));
    add("cache_entry", "statement", dsse::Envelope::read(&signed).expect("is one").payload);
    add("cache_entry", "envelope", signed);
    add("cache_entry", "head", b"tinyroot entry 1 5 10\ntree\n".to_vec());
}

/// Files with others in them.
fn of_differences(add: Add<'_>) {
    let mut header = tar::Header::new_ustar();
    header.set_size(4);
    header.set_mode(0o644);
    header.set_cksum();
    let mut tarball = tar::Builder::new(Vec::new());
    tarball.append_data(&mut header.clone(), "a", &b"tea\n"[..]).expect("memory takes it");
    let tarball = tarball.into_inner().expect("memory takes it");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tarball).expect("memory takes it");
    add("difference", "tar", tarball);
    add("difference", "gzip", gzip.finish().expect("memory takes it"));
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("a", zip::write::SimpleFileOptions::default()).expect("memory takes it");
    zip.write_all(b"tea\n").expect("memory takes it");
    add("difference", "zip", zip.finish().expect("memory takes it").into_inner());
    let library = elf::image::made::Made { soname: "libmade.so.1", ..Default::default() };
    add("difference", "elf", library.bytes());
}

/// What a cache keeps.
fn of_cache(add: Add<'_>) {
    for (reader, name, bytes) in crate::archive::readers::kept() {
        add(reader, name, bytes);
    }
}

/// Texts: reader, name, and the text itself.
const TEXTS: &[(&str, &str, &str)] = &[
    ("headers", "seconds", "bytes 4-9/10\n20\n"),
    ("headers", "date", "bytes 4-18/*\nSun, 06 Nov 1994 08:49:37 GMT\nSun Nov  6 08:49:00 1994\n"),
    (
        "registry",
        "texts",
        "docker://host.example:5000/a/b:1@sha256:1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f\nBearer realm=\"https://auth.example/token\",service=\"x, \\\"y\\\"\"\n0-1023\n{\"auths\": {\"host.example:5000/a\": {\"auth\": \"YTpi\"}}, \"credsStore\": \"x\"}\n",
    ),
    (
        "sources",
        "list",
        "deb [arch=amd64 signed-by=/x] http://mirror.example/debian bookworm main # x\ndeb-src http://a b c\n",
    ),
    (
        "sources",
        "deb822",
        "# x\nTypes: deb deb-src\nURIs: http://mirror.example/debian\n file:/srv\nSuites: bookworm bookworm-updates\nEnabled: no\n\nTypes: deb\nURIs: mirror+file:/etc/x\n",
    ),
    (
        "report",
        "misses",
        "# misses\n/usr/a\\x20b a /usr/bin/x 2023-11-14T22:13:20Z\n/etc/b - - 2023-11-14T22:13:20Z listed:3\n/etc/c npm:d - 2023-11-14T22:13:20Z said\n",
    ),
    (
        "request",
        "post",
        "POST /a?b=c HTTP/1.1\r\nHost: g-1.localhost:6080\r\nOrigin: http://g-1.localhost:6080\r\nCookie: a=1; b=2\r\nContent-Length: 3\r\n\r\nabc",
    ),
    (
        "request",
        "response",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:8000/x\r\nSet-Cookie: s=1; Domain=localhost; Path=/\r\nRefresh: 3; url=http://localhost:8000/\r\nLink: <http://127.0.0.1:8000/>; rel=next\r\n\r\n",
    ),
    (
        "request",
        "upgrade",
        "GET / HTTP/1.1\nhost: localhost:8000\nConnection: keep-alive, Upgrade\nUpgrade: websocket\nTransfer-Encoding: chunked\n\n",
    ),
    ("body", "chunks", "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\nrest"),
    ("body", "length", "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd"),
    (
        "response",
        "length",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi",
    ),
    (
        "response",
        "chunks",
        "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nA;x=y\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
    ),
    ("events", "chunks", "9;x=y\r\ndata: hi\n\r\n1\r\n\n\r\n0\r\nT: x\r\n\r\n"),
    (
        "events",
        "plain",
        "\u{feff}: a\n\nevent: add\r\ndata: 1\r\ndata\r\nid: 7\r\nretry: 5\r\n\r\ndata:x\r\r",
    ),
    (
        "cookies",
        "several",
        "a=1; Path=/; HttpOnly\nb=x=y; path=/app; Max-Age=0\nc=; expires=Thu, 01-Jan-1970 00:00:01 GMT; domain=.g-1.localhost\n",
    ),
    (
        "page",
        "page",
        "<!DOCTYPE html><html><head><title>A &amp; b</title><base href=\"/x/\"><link rel=stylesheet href=a.css><meta http-equiv=refresh content=\"3; url=/y\"><style>@import 'b.css'; p{background:url(c.png)}</style></head><body><form action=/send><textarea>Error</textarea></form><a href=\"d?e#f\">d</a><img srcset=\"g 1x, h 2x\"><script type=module>import x from './m.js'</script><noscript><img src=i></noscript></body></html>",
    ),
    (
        "style",
        "style",
        "@import url(\"a.css\") screen; @font-face{src:url('b.woff2') format('woff2')} /* url(c) */ p::after{content:'\\\"'}",
    ),
    (
        "style",
        "module",
        "import a, {b as c} from './a.js';\nexport * from \"b\";\nconst d = await import('c'); // import 'e'\n",
    ),
    (
        "recipe",
        "small",
        "[app]\nname = \"wiki\"\ntitle = \"A wiki\"\nversion = \"1\"\n\n[debian]\nsuite = \"bookworm\"\npackages = [\"cgit\", \"nginx-light\"]\nexclude = [\"a\"] # why\n\n[web]\nport = 8000\n\n[[service]]\nname = \"web\"\ncommand = [\"/usr/sbin/nginx\", \"-g\", \"daemon off;\"]\n\n[[exercise]]\nget = \"/\"\nstatus = 200\ncontains = \"x\"\n\n[prune]\nkeep = [\"/usr/share/a/**\"]\n\n[reduce]\nsymbols = true\nnot = [\n    \"libc6\", # why\n]\n",
    ),
    (
        "lock",
        "small",
        "version = 1\nsuite = \"bookworm\"\narchitecture = \"amd64\"\ntime = \"2026-07-11T10:16:37Z\"\n\n[request]\npackages = [\"hello\"]\n",
    ),
    (
        "used",
        "small",
        "# used.list\n/usr/bin/git executed /tinyroot/init git web request\\x201\n/etc/passwd opened - - - -\n/usr/lib listed /usr/bin/git - web -\n",
    ),
    (
        "prune_list",
        "small",
        "tinyroot prune.list 1\nreduced /usr/lib/libicudata.so.72.1 197 of 3920 items\n/usr/lib/libxml2.so.2 libxml2 loader NEEDED by <- /usr/lib/php/dom.so\n/usr/lib/php/dom.so - used asked for <- /usr/lib/libxml2.so.2\ndropped coreutils unused nothing asked for it\n/usr/bin/ b2sum base32\n/usr/share doc/ a\\x20b\n",
    ),
    (
        "changelog",
        "small",
        "tea (1.3-1) bookworm-security; urgency=high\n\n  * Hold the cup (CVE-2026-1234).\n\n -- A <a@example.org>  Mon, 02 Nov 2026 10:00:00 +0000\n\ntea (1.2-1) unstable; urgency=low\n\n  * Old.\n",
    ),
    (
        "copyright",
        "small",
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: a\n\nFiles: *\nCopyright: 2020 them\nLicense: GPL-2+ or Artistic, and Expat\n\nFiles: b\nCopyright: 2021 them\nLicense: LGPL-2.1 with x exception\n Text.\n .\n  More.\n\nLicense: GPL-2+\n See /usr/share/common-licenses/GPL-2.\n",
    ),
    (
        "papers",
        "proof",
        "{\"exercised\":true,\"steps\":[\"get /\"],\"compared\":true,\"tree\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"app_id\":null}",
    ),
    (
        "lines",
        "messages",
        "PHP message: PHP Fatal error:  Uncaught Error\nModuleNotFoundError: No module named 'a.b'\n2026-07-11 10:16:37 [error] 12#0: open() \"/x\" failed (2: No such file)\n\u{1b}[8mx\u{202e}y\u{200b}\n",
    ),
    (
        "python",
        "source",
        "from __future__ import annotations\nimport a.b as c, d\nfrom . import (e,\n  f)\ntry:\n    import g\nexcept ImportError:\n    g = None\ndef x():\n    '''doc'''\n    return importlib.import_module(f\"h{y}\")\nif TYPE_CHECKING:\n    import i\n",
    ),
    (
        "perl",
        "source",
        "package A::B;\nuse strict; use lib \"$FindBin::Bin/../lib\";\nuse parent qw(C D::E);\nrequire 'x.pl' if m{a/b}x;\nmy %h = (use => q(x), y => <<'END');\ntext\nEND\neval { require F; 1 } or do { s/a/b/e };\n__END__\n=pod\n",
    ),
    (
        "ruby",
        "source",
        "require 'a/b'\nrequire_relative \"../c\"\nautoload :D, 'd'\nbegin\n  require %q(e)\nrescue LoadError\nend\ndef f; require <<~X\n  g\n  X\nend\nx = a / b / c; %w[i j]\n",
    ),
    (
        "node",
        "source",
        "import a, { b } from './a.js';\nconst c = require(\"c/d\"), e = /require('x')/g;\nexport * from `f`;\nasync () => await import('./g' + h);\n// require('i')\nlet j = `${require('k')}`;\n",
    ),
    (
        "node",
        "manifest",
        "{\"main\":\"./lib/x.js\",\"exports\":{\".\":{\"import\":[\"./a.mjs\",\"./b\"],\"default\":\"./c.js\"},\"./x/*.js\":\"./y/*.js\",\"./z\":null}}",
    ),
    (
        "php",
        "source",
        "<?php\nnamespace A\\B;\nuse C\\{D, E as F};\nrequire_once __DIR__ . '/x.php';\ninclude dirname(__FILE__, 2) . \"/y.php\";\nreturn array('G\\\\H' => $baseDir . '/src/h.php', 'I' => [__DIR__ . '/i']);\nnew F(); J::k(); <<<'T'\ntext\nT;\n?>html<?= L::m ?>",
    ),
    (
        "scripts",
        "postinst",
        "#!/bin/sh\nset -e\nD=/var/lib/a\ngive() {\n    chown -R www-data:www-data \"$1\"\n}\nfor x in a b; do\n    give \"$D/$x\"\ndone\nif [ -d /var/log/a ]; then install -d -o a -m 0750 /var/log/a; fi\nfind /var/cache/a -type d -exec chown a {} +\ncat <<END\nchown b /var/c\nEND\n",
    ),
    (
        "secrets",
        "settings",
        "password = \n\npassword = 'k3J9xQ2mPz7LwR5t'\ndefine('AUTH_KEY', 'aB3$dE6&gH9!jK2%');\n-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n",
    ),
    ("messages", "ended", "{\"Ended\":{\"id\":0,\"exit\":{\"Code\":1}}}"),
    ("messages", "failed", "{\"Failed\":{\"step\":\"mount\",\"call\":\"mount\",\"errno\":1}}"),
    ("messages", "log", "starting\ntinyroot-init: ready\nmore"),
    (
        "dpkg",
        "output",
        "processing: install: hello\nstatus: hello: half-installed\nUnpacking hello (1.0) ...\n/proc/ is not mounted\nprocessing: configure: hello\nstatus: hello : error : exit status 1\ntinyroot: ended with status 2\nmore\n",
    ),
    ("dpkg", "owned", "33 42 4755 /var/a b\u{0}0 8 2775 /var/mail\u{0}"),
    ("dpkg", "diversions", "/usr/bin/x\n/usr/bin/x.real\nother\n/etc/y\n/etc/y.local\n:\n"),
    (
        "apt_conf",
        "settings",
        "// a comment\nAcquire::http::Proxy \"http://proxy:3128\";\nAcquire { https { Proxy::mirror.example.org \"DIRECT\"; }; };\n#clear Acquire::http::Proxy;\n#include \"/etc/apt/more.conf\";\n/* x */ DPkg::Post-Invoke { \"a\"; \"b\"; };\n",
    ),
    (
        "tree",
        "small",
        "/bin link 0777 0:0 1672950000 usr/bin\n/dev/null char 0666 0:0 0 1:3\n/usr dir 0755 0:0 0\n/usr/bin dir 0755 0:0 0\n/usr/bin/a\\x20b file 4755 0:5 1 3 sha256:98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4 xattr:user.x=00ff\n/usr/bin/c file 4755 0:5 1 3 sha256:98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4 link:/usr/bin/a\\x20b\n",
    ),
    ("notes", "not-one", "{\"size_bytes\":1}"),
    (
        "bundle",
        "small",
        "pack deb-k-AbCdEf 12\nchunks \
         98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4\n\
         98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4 2 3\ntree\n/usr dir 0755 0:0 0\n\
         /usr/b file 0644 0:0 1 3 sha256:98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4\n",
    ),
    ("bundle", "outside", "pack ../../etc/passwd 1\nchunks \ntree\n"),
];
