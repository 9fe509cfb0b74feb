//! Names in kept code: what no run has loaded so far.

mod node;
mod perl;
mod php;
mod ruby;

use super::*;

const LIB: &str = "usr/lib/python3.11";
const SITE: &str = "usr/lib/python3/dist-packages";

/// A root with a little of Python's library, an app that imports late, and room for what it imports.
fn python() -> Root {
    let mut root = Root::new();
    root.policy.imports_bytes = 1000;
    root.policy.app_packages.insert("app".to_owned());
    let library: &[(&str, &str)] = &[
        ("decimal.py", "try:\n  from _decimal import *\nexcept ImportError:\n  from _pydecimal import *\n"),
        ("_pydecimal.py", "import numbers\nif __name__ == '__main__':\n  import doctest\n"),
        ("numbers.py", "import pdb\n"),
        ("pdb.py", ""),
        ("doctest.py", ""),
        ("email/__init__.py", ""),
        ("email/message.py", "def f():\n  from email.generator import Generator\n"),
        ("email/generator.py", ""),
        ("lib-dynload/_decimal.cpython-311-x86_64-linux-gnu.so", "-"),
        ("unasked.py", ""),
        ("__pycache__/decimal.cpython-311.pyc", "-"),
    ];
    for (name, text) in library {
        root.file("libpython3", &format!("{LIB}/{name}"), text.as_bytes());
    }
    root.used(&format!("{LIB}/email/message.py"), "found");
    root.file("app", &format!("{SITE}/app/__init__.py"), b"")
        .file(
            "app",
            &format!("{SITE}/app/late.py"),
            b"from . import near\ndef f():\n  import decimal, lib.part\n",
        )
        .file("lib", &format!("{SITE}/lib/__init__.py"), b"from .one import *\n")
        .file(
            "lib",
            &format!("{SITE}/lib/part.py"),
            b"import importlib\nimportlib.import_module('.two', __package__)\n",
        )
        .file("lib", &format!("{SITE}/lib/one.py"), b"")
        .file("lib", &format!("{SITE}/lib/two.py"), b"from email import message\n")
        .file("lib", &format!("{SITE}/lib/three.py"), b"");
    root
}

#[test]
fn modules_that_kept_python_code_imports_are_kept_at_any_depth() {
    let mut root = python();
    let at = |name: &str| format!("{LIB}/{name}");
    let site = |name: &str| format!("{SITE}/{name}");
    root.expect(&[
        (&at("decimal.py"), &format!("keep imports: imported in a function of /{SITE}/app/late.py")),
        (
            &at("__pycache__/decimal.cpython-311.pyc"),
            &format!("keep python: the byte code of /{LIB}/decimal.py"),
        ),
        (
            &at("lib-dynload/_decimal.cpython-311-x86_64-linux-gnu.so"),
            &format!("keep imports: imported where it is there by /{LIB}/decimal.py"),
        ),
        (&at("_pydecimal.py"), &format!("keep imports: imported where it is there by /{LIB}/decimal.py")),
        (&at("numbers.py"), &format!("keep imports: imported by /{LIB}/_pydecimal.py")),
        (&at("doctest.py"), "- unused: nothing asked for it"),
        (&at("pdb.py"), "- unused: nothing asked for it"),
        (&at("unasked.py"), "- unused: nothing asked for it"),
        (
            &at("email/generator.py"),
            &format!("keep imports: imported in a function of /{LIB}/email/message.py"),
        ),
        (&site("lib/__init__.py"), &format!("keep imports: imported in a function of /{SITE}/app/late.py")),
        (&site("lib/one.py"), &format!("keep imports: imported by /{SITE}/lib/__init__.py")),
        (&site("lib/two.py"), &format!("keep imports: imported by /{SITE}/lib/part.py")),
        (&site("lib/three.py"), "- unused: nothing asked for it"),
    ]);
    let imports = root.plan().imports;
    assert_eq!((imports.files, imports.largest.map(|(path, _)| path)), (11, Some(path(&at("decimal.py")))));
}

#[test]
fn parts_of_a_package_of_the_library_and_hidden_imports_are_followed() {
    let mut root = Root::new();
    root.policy.imports_bytes = 1000;
    root.policy.app_packages.insert("app".to_owned());
    let library: &[(&str, &str)] = &[
        ("concurrent/__init__.py", ""),
        ("concurrent/futures/__init__.py", "def f():\n  from .thread import Pool\n"),
        ("concurrent/futures/thread.py", "def f():\n  import endless\n"),
        ("endless.py", ""),
        ("xml/__init__.py", ""),
        ("xml/dom/__init__.py", ""),
        ("xml/dom/minidom.py", "def f():\n  from xml.dom import builder\n"),
        ("xml/dom/builder.py", ""),
        ("importlib/__init__.py", ""),
        ("importlib/util.py", "from ._abc import Loader\n"),
        ("importlib/_abc.py", ""),
        ("importlib/resources/__init__.py", ""),
        ("importlib/readers.py", ""),
        ("sysconfig.py", ""),
        ("_sysconfigdata__x86_64-linux-gnu.py", ""),
        ("abc.py", ""),
        ("unittest/__init__.py", ""),
        ("unittest/mock.py", ""),
    ];
    for (name, text) in library {
        root.file("libpython3", &format!("{LIB}/{name}"), text.as_bytes());
    }
    root.file(
        "app",
        &format!("{SITE}/app.py"),
        b"import abc\ndef f():\n  import concurrent.futures, xml.dom.minidom, importlib.util, sysconfig\n\
          \x20 from importlib import resources\n  from unittest import mock\n",
    );
    let late = |path: &str| format!("keep imports: imported in a function of /{path}");
    let at = |name: &str| format!("{LIB}/{name}");
    root.expect(&[
        (&at("concurrent/futures/thread.py"), &late(&at("concurrent/futures/__init__.py"))),
        (&at("endless.py"), "- unused: nothing asked for it"),
        (&at("xml/dom/builder.py"), &late(&at("xml/dom/minidom.py"))),
        (&at("importlib/_abc.py"), &format!("keep imports: imported by /{}", at("importlib/util.py"))),
        (&at("importlib/readers.py"), &late(&at("importlib/resources/__init__.py"))),
        (&at("_sysconfigdata__x86_64-linux-gnu.py"), &late(&at("sysconfig.py"))),
        (&at("unittest/mock.py"), &late(&format!("{SITE}/app.py"))),
        (&at("abc.py"), "- unused: nothing asked for it"),
    ]);
}

#[test]
fn imports_can_be_bounded_and_turned_off() {
    let mut root = python();
    root.policy.imports_bytes = 80;
    let plan = root.plan();
    assert!(plan.imports.bytes <= 81, "{:?}", plan.imports);
    assert!(!plan.keeps(format!("{LIB}/numbers.py").as_bytes()));
    assert_eq!(
        plan.warnings.iter().filter(|text| text.starts_with("prune.imports: ")).count(),
        1,
        "{:?}",
        plan.warnings
    );
    let left_out = plan.imports.left_out.clone();
    assert!(left_out.contains_key(&path(&format!("{LIB}/_pydecimal.py"))), "{left_out:?}");
    assert!(plan.warnings.iter().any(|text| text.contains("to accept that: [prune] imports = ")));
    // A bound that the recipe chose is no surprise.
    root.policy.imports_set = true;
    let plan = root.plan();
    assert_eq!(plan.imports.left_out, left_out);
    assert!(!plan.warnings.iter().any(|text| text.starts_with("prune.imports: ")));
    root.policy.imports_set = false;
    root.policy.imports_bytes = 0;
    let plan = root.plan();
    assert_eq!(plan.imports, Imports::default());
    assert!(!plan.warnings.iter().any(|text| text.starts_with("prune.imports: ")));
}

#[test]
fn what_a_recipe_drops_stays_dropped_though_code_imports_it() {
    let mut root = python();
    root.policy.drop = Globs::new(&["/usr/lib/python3.11/_pydecimal.py".to_owned()]).expect("a good glob");
    let plan = root.plan();
    assert!(!plan.keeps(format!("{LIB}/_pydecimal.py").as_bytes()));
    assert!(!plan.keeps(format!("{LIB}/numbers.py").as_bytes()));
}

#[test]
fn texts_that_are_whole_names_of_modules_count() {
    let mut root = python();
    root.file(
        "app",
        &format!("{SITE}/app/settings.py"),
        b"INSTALLED_APPS = ['blog']\nX = ['lib.three.Class', 'lib.part', 'email.nothing.at.all', 'unasked', 'pdb.Pdb']\n",
    )
    .file("blog", &format!("{SITE}/blog/__init__.py"), b"")
    .file("blog", &format!("{SITE}/blog/models.py"), b"")
    .file("blog", &format!("{SITE}/blog/other.py"), b"");
    let reason = format!("keep imports: imported where it is there by /{SITE}/app/settings.py");
    root.expect(&[
        (&format!("{SITE}/lib/three.py"), &reason),
        (&format!("{SITE}/blog/__init__.py"), &reason),
        (&format!("{SITE}/blog/models.py"), &reason),
        (&format!("{SITE}/blog/other.py"), "- unused: nothing asked for it"),
        (&format!("{LIB}/unasked.py"), "- unused: nothing asked for it"),
        (&format!("{LIB}/pdb.py"), "- unused: nothing asked for it"),
    ]);
}

#[test]
fn an_extension_imports_what_its_text_names() {
    let mut root = python();
    root.file(
        "app",
        &format!("{SITE}/app/fast.cpython-311-x86_64-linux-gnu.so"),
        b"\x7fELF\0numbers\0pdb\0x\0",
    );
    root.file("app", "usr/bin/app", b"#!/usr/bin/python3\nimport unasked\n");
    root.expect(&[
        (
            &format!("{LIB}/numbers.py"),
            &format!(
                "keep imports: imported where it is there by /{SITE}/app/fast.cpython-311-x86_64-linux-gnu.so"
            ),
        ),
        (&format!("{LIB}/pdb.py"), "- unused: nothing asked for it"),
        (&format!("{LIB}/unasked.py"), "keep imports: imported by /usr/bin/app"),
    ]);
}
