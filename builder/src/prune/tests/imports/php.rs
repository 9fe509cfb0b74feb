use super::*;

#[test]
fn classes_and_files_that_kept_php_code_names_are_kept() {
    let mut root = Root::new();
    root.policy.imports_bytes = 3000;
    let files: &[(&str, &str)] = &[
        ("usr/bin/php8.2", "-"),
        // A map of Debian's.
        (
            "usr/share/php/Lib/autoload.php",
            "<?php spl_autoload_register(function ($class) { static $classes = array(\
             'lib\\\\one' => '/One.php', 'lib\\\\two' => '/Two.php', 'lib\\\\other' => '/Other.php');\
             require __DIR__ . $classes[strtolower($class)]; });\nrequire_once 'Far/autoload.php';",
        ),
        (
            "usr/share/php/Lib/One.php",
            "<?php namespace Lib; class One extends Base\\Two { function f() { new Other; } }",
        ),
        ("usr/share/php/Lib/Two.php", "<?php"),
        ("usr/share/php/Lib/Other.php", "<?php"),
        ("usr/share/php/Lib/Unnamed.php", "<?php"),
        ("usr/share/php/Far/autoload.php", "<?php"),
        // Composer's.
        (
            "usr/share/lib/vendor/composer/autoload_classmap.php",
            "<?php $vendorDir = dirname(__DIR__); return array('Map\\\\A' => $vendorDir . '/map/A.php');",
        ),
        (
            "usr/share/lib/vendor/composer/autoload_psr4.php",
            "<?php return array('Psr\\\\' => array($vendorDir . '/psr/src'));",
        ),
        (
            "usr/share/lib/vendor/composer/autoload_files.php",
            "<?php return array('0123456789abcdef0123456789abcdef' => $vendorDir . '/map/functions.php');",
        ),
        ("usr/share/lib/vendor/map/A.php", "<?php use Lib\\Two; class A extends Two {}"),
        ("usr/share/lib/vendor/map/functions.php", "<?php"),
        ("usr/share/lib/vendor/psr/src/Log/Deep.php", "<?php"),
        ("usr/share/lib/vendor/psr/src/Log/Other.php", "<?php"),
    ];
    for (name, text) in files {
        root.file("lib", name, text.as_bytes());
    }
    root.used("usr/bin/php8.2", "executed")
        .used("usr/share/php/Lib/autoload.php", "opened")
        .used("usr/share/lib/vendor/composer/autoload_files.php", "opened")
        .file(
            "wiki",
            "usr/share/wiki/index.php",
            b"<?php namespace Wiki; use Lib\\One; function f() { new One; return \\Map\\A::b(); }\n\
              $x = ['Psr\\\\Log\\\\Deep']; // new \\Psr\\Log\\Other\n",
        );
    let late = "keep imports: imported in a function of /usr/share/wiki/index.php";
    root.expect(&[
        ("usr/share/php/Lib/One.php", late),
        ("usr/share/php/Lib/Two.php", "keep imports: imported by /usr/share/lib/vendor/map/A.php"),
        ("usr/share/php/Lib/Other.php", "- unused: nothing asked for it"),
        ("usr/share/php/Lib/Unnamed.php", "- unused: nothing asked for it"),
        ("usr/share/php/Far/autoload.php", "keep imports: imported by /usr/share/php/Lib/autoload.php"),
        ("usr/share/lib/vendor/map/A.php", late),
        ("usr/share/lib/vendor/psr/src/Log/Deep.php", late),
        ("usr/share/lib/vendor/psr/src/Log/Other.php", "- unused: nothing asked for it"),
        (
            "usr/share/lib/vendor/map/functions.php",
            "keep imports: imported by /usr/share/lib/vendor/composer/autoload_files.php",
        ),
    ]);
}
