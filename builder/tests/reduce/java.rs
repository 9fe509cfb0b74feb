//! Java with fewer modules: Debian's own, of bookworm (17) and trixie (21 and 25).

use super::*;

/// Prints what is in Java's own file system of its modules (JEP 220), all of it, and what it makes of some
/// classes. Java compiles it by itself.
const SCRIPT: &str = r#"
import java.net.URI;
import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;

public class Walk {
    static String say(Path path) throws Exception {
        if (Files.isSymbolicLink(path)) return "-> " + Files.readSymbolicLink(path) + " " + Files.isDirectory(path);
        if (Files.isDirectory(path)) return "directory";
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(path));
        return HexFormat.of().formatHex(digest);
    }
    public static void main(String[] args) throws Exception {
        FileSystem modules = FileSystems.getFileSystem(URI.create("jrt:/"));
        for (String top : new String[] { "/modules", "/packages" }) {
            try (var paths = Files.walk(modules.getPath(top))) {
                for (var path : (Iterable<Path>) paths::iterator) System.out.println(path + ": " + say(path));
            }
        }
        for (String name : args) {
            String found;
            try {
                Class.forName(name).getMethods();
                found = "there";
            } catch (ReflectiveOperationException | LinkageError error) {
                found = error.toString().replace(':', ',');
            }
            System.out.println("class " + name + ": " + found);
        }
        int services = 0;
        for (var provider : ServiceLoader.load(java.nio.file.spi.FileSystemProvider.class)) services++;
        for (var provider : ServiceLoader.load(java.util.spi.ToolProvider.class)) services++;
        System.out.println("services: " + services);
        System.out.println("zone: " + java.time.ZonedDateTime.of(2026, 7, 3, 9, 0, 0, 0, java.time.ZoneId.of("Europe/Berlin")));
        System.out.println("resource: " + (Object.class.getResource("Object.class") != null));
    }
}
"#;

const CLASSES: [&str; 4] = [
    "java.sql.DriverManager",
    "javax.xml.parsers.SAXParser",
    "javax.swing.JFrame",
    "java.net.http.HttpClient",
];

#[test]
fn kept_modules_of_java_17_are_as_before() {
    kept_modules_are_as_before("bookworm", 17);
}

#[test]
fn kept_modules_of_java_21_are_as_before() {
    kept_modules_are_as_before("trixie", 21);
}

#[test]
fn kept_modules_of_java_25_are_as_before() {
    kept_modules_are_as_before("trixie", 25);
}

fn kept_modules_are_as_before(suite: &str, version: u32) {
    let subject = Subject::new(suite, &[&format!("openjdk-{version}-jre-headless")]);
    let java = format!("/usr/lib/jvm/java-{version}-openjdk-amd64/bin/java");
    let answers = |keys: &str| {
        let limits = "java.sql,jdk.compiler";
        let command = [&[&java[..], "--limit-modules", limits, "/tmp/Walk.java"][..], &CLASSES].concat();
        subject.answers(keys, ("tmp/Walk.java", SCRIPT), &command)
    };
    let whole = answers("");
    let some = answers("java = { modules = [\"java.sql\", \"jdk.compiler\"] }");
    let modules: Vec<&str> = some
        .keys()
        .filter_map(|path| path.strip_prefix("/modules/").filter(|module| !module.contains('/')))
        .collect();
    assert!(modules.contains(&"java.xml") && !modules.contains(&"java.desktop"), "{modules:?}");
    let is_kept = |(path, answer): &(&String, &String)| match path.strip_prefix("/modules/") {
        Some(inside) => modules.iter().any(|module| inside.split('/').next() == Some(module)),
        // A directory of packages is there for those below it.
        None if path.starts_with("/packages/") => {
            let module = answer.strip_prefix("-> /modules/").and_then(|rest| rest.split(' ').next());
            module.is_some_and(|module| modules.contains(&module))
        }
        None => true,
    };
    let expected: BTreeMap<_, _> = whole.iter().filter(is_kept).collect();
    let found: BTreeMap<_, _> = some.iter().filter(is_kept).collect();
    let lost: Vec<_> = expected.iter().filter(|(path, answer)| found.get(*path) != Some(answer)).collect();
    assert!(lost.is_empty() && expected.len() == found.len(), "{lost:#?}");
    assert!(
        expected.len() > 5000 && whole.len() > 2 * expected.len(),
        "{} of {}",
        expected.len(),
        whole.len()
    );
    let links = some.iter().filter(|(path, _)| path.starts_with("/packages/"));
    assert!(links.clone().all(|(_, answer)| answer == "directory" || answer.ends_with(" true")));
    for (class, found) in CLASSES.iter().zip([true, true, false, false]) {
        let answer = &some[&format!("class {class}")];
        assert_eq!((answer == "there", answer == "there" || answer.contains("ClassNotFound")), (found, true));
    }
}
