//! Languages, sets and configuration: what belongs to what a run opened.

use super::*;

#[test]
fn python_has_sources_beside_byte_code_and_what_an_exception_imports() {
    const LIB: &str = "usr/lib/python3.11";
    let at = |name: &str| format!("{LIB}/{name}");
    let mut root = Root::new();
    for name in
        ["json.py", "__pycache__/json.cpython-311.pyc", "__pycache__/json.cpython-311.opt-1.pyc", "os.py"]
    {
        root.file("libpython3", &at(name), name.as_bytes());
    }
    root.file("libpython3", &at("traceback.py"), b"t")
        .file("libpython3", &at("__pycache__/traceback.cpython-311.pyc"), b"tc")
        .file("libpython3", &at("turtle.py"), b"u")
        .file("python3-x", "usr/lib/python3/dist-packages/x.py", b"x")
        .file("python3-x", "usr/lib/python3/dist-packages/x-1.egg-info/PKG-INFO", b"i")
        .used(&at("__pycache__/json.cpython-311.pyc"), "opened")
        .used("usr/lib/python3/dist-packages/x.py", "opened");
    root.expect(&[
        (&at("json.py"), "keep python: the source of /usr/lib/python3.11/__pycache__/json.cpython-311.pyc"),
        (&at("__pycache__/json.cpython-311.opt-1.pyc"), "- unused: nothing asked for it"),
        (
            &at("traceback.py"),
            "keep python: Python's own foundation, for /usr/lib/python3.11/__pycache__/json.cpython-311.pyc",
        ),
        (
            &at("__pycache__/traceback.cpython-311.pyc"),
            "keep python: the byte code of /usr/lib/python3.11/traceback.py",
        ),
        (&at("turtle.py"), "- unused: nothing asked for it"),
        (
            "usr/lib/python3/dist-packages/x-1.egg-info/PKG-INFO",
            "keep python: the metadata of the package of /usr/lib/python3/dist-packages/x.py",
        ),
    ]);
}

#[test]
fn other_languages_have_their_parts() {
    const PERL: &str = "usr/lib/x86_64-linux-gnu/perl/5.36";
    let mut root = Root::new();
    root.file("perl", &format!("{PERL}/List/Util.pm"), b"p")
        .file("perl", &format!("{PERL}/auto/List/Util/Util.so"), b"s")
        .file("perl", &format!("{PERL}/auto/List/Other/Other.so"), b"o")
        .used(&format!("{PERL}/List/Util.pm"), "opened")
        .file("-", "etc/php/8.2/fpm/conf.d/20-dom.ini", b"; priority=20\nextension=dom.so\n")
        .file("php-dom", "usr/lib/php/20220829/dom.so", b"d")
        .used("etc/php/8.2/fpm/conf.d/20-dom.ini", "opened")
        .file("ruby-rack", "usr/share/rubygems-integration/all/specifications/rack.gemspec", b"g")
        .file("ruby-rack", "usr/lib/ruby/vendor_ruby/rack.rb", b"r")
        .used("usr/lib/ruby/vendor_ruby/rack.rb", "opened")
        .file("node-x", "usr/share/nodejs/x/package.json", b"{}")
        .file("node-x", "usr/share/nodejs/x/lib/x.js", b"x")
        .used("usr/share/nodejs/x/lib/x.js", "opened");
    root.expect(&[
        (
            &format!("{PERL}/auto/List/Util/Util.so"),
            "keep perl: a compiled part of /usr/lib/x86_64-linux-gnu/perl/5.36/List/Util.pm",
        ),
        (&format!("{PERL}/auto/List/Other/Other.so"), "- unused: nothing asked for it"),
        (
            "usr/lib/php/20220829/dom.so",
            "keep php: the extension that is loaded by /etc/php/8.2/fpm/conf.d/20-dom.ini",
        ),
        (
            "usr/share/rubygems-integration/all/specifications/rack.gemspec",
            "keep ruby: the specification of a gem, for /usr/lib/ruby/vendor_ruby/rack.rb",
        ),
        ("usr/share/nodejs/x/package.json", "keep node: the package.json of /usr/share/nodejs/x/lib/x.js"),
    ]);
}

/// Returns a jar with such a manifest.
fn jar(manifest: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let deflated = zip::write::SimpleFileOptions::default();
    writer.start_file("META-INF/MANIFEST.MF", deflated).expect("begins");
    std::io::Write::write_all(&mut writer, manifest.as_bytes()).expect("writes");
    writer.finish().expect("ends").into_inner()
}

#[test]
fn jars_bring_their_class_path() {
    let mut root = Root::new();
    let manifest = "Manifest-Version: 1.0\r\nClass-Path: log.jar ../java/text.jar file:///opt/x\r\n .jar \
                    none.jar ../../../../out.jar\r\n\r\nName: a\r\nClass-Path: other.jar\r\n";
    root.file("libweb-java", "usr/share/java/web-1.jar", &jar(manifest))
        .used("usr/share/java/web-1.jar", "opened")
        .link("liblog-java", "usr/share/java/log.jar", "log-2.jar")
        .file("liblog-java", "usr/share/java/log-2.jar", &jar("Class-Path: deep.jar\n"))
        .file("libdeep-java", "usr/share/java/deep.jar", b"no jar")
        .file("libtext-java", "usr/share/java/text.jar", b"PK\x03\x04")
        .file("x", "opt/x.jar", b"x")
        .file("other", "usr/share/java/other.jar", b"o");
    root.expect(&[
        ("usr/share/java/log.jar", "keep java: on the class path of /usr/share/java/web-1.jar"),
        ("usr/share/java/log-2.jar", "keep java: on the class path of /usr/share/java/web-1.jar"),
        ("usr/share/java/deep.jar", "keep java: on the class path of /usr/share/java/log-2.jar"),
        ("usr/share/java/text.jar", "keep java: on the class path of /usr/share/java/web-1.jar"),
        ("opt/x.jar", "keep java: on the class path of /usr/share/java/web-1.jar"),
        ("usr/share/java/other.jar", "- unused: nothing asked for it"),
    ]);
}

/// A jar of which any byte is another, or that ends anywhere, keeps what it keeps and harms nothing.
#[test]
fn damaged_jars_are_passed_over() {
    let whole = jar("Class-Path: log.jar\n");
    for at in 0..whole.len() {
        let mut jar = whole.clone();
        jar[at] ^= 0x55;
        for jar in [jar, whole[..at].to_vec()] {
            Root::new()
                .file("libweb-java", "usr/share/java/web.jar", &jar)
                .used("usr/share/java/web.jar", "opened")
                .plan();
        }
    }
}

#[test]
fn java_has_its_basic_parts_when_it_runs() {
    const HOME: &str = "usr/lib/jvm/java-17-openjdk-amd64";
    let at = |name: &str| format!("{HOME}/{name}");
    let mut root = Root::new();
    for name in ["lib/server/libjvm.so", "lib/libverify.so", "lib/libawt.so", "lib/security/default.policy"] {
        root.file("openjdk-17-jre-headless", &at(name), name.as_bytes());
    }
    root.file(
        "openjdk-17-jre-headless",
        "etc/java-17-openjdk/security/policy/unlimited/default.policy",
        b"p",
    )
    .link("openjdk-17-jre-headless", &at("conf/security"), "/etc/java-17-openjdk/security")
    .link("openjdk-17-jre-headless", &at("lib/security/cacerts"), "/etc/ssl/certs/java/cacerts")
    .file("-", "etc/ssl/certs/java/cacerts", b"c")
    .file("openjdk-21-jre-headless", "usr/lib/jvm/java-21-openjdk-amd64/lib/libverify.so", b"v");
    root.expect(&[(&at("lib/libverify.so"), "- unused: nothing asked for it")]);
    root.used(&at("lib/server/libjvm.so"), "opened");
    let reason = format!("keep java: a basic part of Java, for /{HOME}/lib/server/libjvm.so");
    root.expect(&[
        (&at("lib/libverify.so"), &reason),
        (&at("lib/security/default.policy"), &reason),
        (&at("conf/security"), &reason),
        (&at("lib/libawt.so"), "- unused: nothing asked for it"),
        (&at("lib/security/cacerts"), "- unused: nothing asked for it"),
        ("etc/ssl/certs/java/cacerts", "- unused: nothing asked for it"),
        ("usr/lib/jvm/java-21-openjdk-amd64/lib/libverify.so", "- unused: nothing asked for it"),
    ]);
}

#[test]
fn sets_are_kept_whole_when_used_and_only_then() {
    let zones = |root: &mut Root| {
        root.link("-", "etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
            .file("tzdata", "usr/share/zoneinfo/Etc/UTC", b"u")
            .file("tzdata", "usr/share/zoneinfo/Europe/Berlin", b"b")
            .file("tzdata", "usr/share/zoneinfo/right/Europe/Berlin", b"r")
            .used("usr/share/zoneinfo/Etc/UTC", "opened");
    };
    let mut root = Root::new();
    zones(&mut root);
    root.expect(&[("usr/share/zoneinfo/Europe/Berlin", "- unused: nothing asked for it")]);
    zones(&mut root);
    root.file("tzdata", "usr/share/zoneinfo/Asia/Tokyo", b"t").used("usr/share/zoneinfo/Asia/Tokyo", "stat");
    root.expect(&[
        (
            "usr/share/zoneinfo/Europe/Berlin",
            "keep set: time zones are kept as a set, for /usr/share/zoneinfo/Asia/Tokyo",
        ),
        ("usr/share/zoneinfo/right/Europe/Berlin", "- unused: nothing asked for it"),
    ]);
    const GCONV: &str = "usr/lib/x86_64-linux-gnu/gconv";
    root.file("libc6", &format!("{GCONV}/gconv-modules.cache"), b"c")
        .file("libc6", &format!("{GCONV}/ISO8859-15.so"), b"i")
        .file("libc6", &format!("{GCONV}/EBCDIC-DE.so"), b"e")
        .used(&format!("{GCONV}/gconv-modules.cache"), "opened");
    root.expect(&[
        (
            &format!("{GCONV}/ISO8859-15.so"),
            "keep set: common charsets are kept as a set, for /usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache",
        ),
        (&format!("{GCONV}/EBCDIC-DE.so"), "- unused: nothing asked for it"),
    ]);
}

#[test]
fn packages_in_use_keep_configuration_and_small_listed_directories() {
    let mut root = Root::new();
    root.file("web", "usr/sbin/web", b"elf")
        .file("web", "etc/web/mime.types", b"m")
        .file("web", "etc/default/web", b"d")
        .own("web", "var/cache/web", Entry::directory(0))
        .used("usr/sbin/web", "executed")
        .file("lib", "usr/lib/lib/plugins/a.conf", b"a")
        .used("usr/lib/lib/plugins", "listed")
        .file("lib", "usr/lib/lib/large/a.bin", &vec![0; 40 << 10])
        .used("usr/lib/lib/large", "listed");
    root.expect(&[
        ("etc/web/mime.types", "keep configuration: configuration of the package of /usr/sbin/web"),
        ("etc/default/web", "- unused: nothing asked for it"),
        ("var/cache/web", "empty var: a directory of /var that a package ships"),
        ("usr/lib/lib/plugins/a.conf", "keep listed: kept as it lists, with /usr/lib/lib/plugins"),
        ("usr/lib/lib/large/a.bin", "- unused: nothing asked for it"),
        ("usr/lib/lib/large", "empty traced: listed by php of web at get:/"),
    ]);
}

#[test]
fn directories_of_var_stay_though_their_packages_go() {
    let mut root = Root::new();
    root.policy.state = Globs::new(["/var/lib/lib/asked/*"]).expect("a good glob");
    for at in ["var/lib/lib/sessions", "var/log/lib", "var/spool/lib/in", "var/lib/systemd/x", "var/opt/lib"]
    {
        root.own("lib", at, Entry::directory(0));
    }
    root.own("-", "var/lib/made/deep", Entry::directory(0))
        .own("-", "var/mail", Entry::directory(0))
        .file("lib", "var/lib/lib/sessions/x", b"x")
        .file("lib", "var/lib/lib/asked/y", b"y");
    root.expect(&[
        ("var/lib/lib/sessions", "empty var: a directory of /var that a package ships"),
        ("var/log/lib", "empty var: a directory of /var that a package ships"),
        ("var/spool/lib/in", "empty var: a directory of /var that a package ships"),
        ("var/lib/made/deep", "empty var: a directory of /var that packages share or scripts made"),
        ("var/mail", "empty var: a directory of /var that packages share or scripts made"),
        ("var/lib/systemd/x", "- unused: nothing asked for it"),
        ("var/opt/lib", "- unused: nothing asked for it"),
        ("var/lib/lib/sessions/x", "- unused: nothing asked for it"),
        ("var/lib/lib/asked/y", "keep recipe: app.state \"/var/lib/lib/asked/*\""),
    ]);
}
