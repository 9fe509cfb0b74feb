use super::*;

/// A root with a little of perl's library, and an app that loads A when it starts.
fn root() -> Root {
    let mut root = Root::new();
    root.policy.imports_bytes = 1000;
    root.policy.app_packages.insert("app".to_owned());
    let library: &[(&str, &str)] = &[
        ("usr/bin/perl", "-"),
        ("usr/lib/x86_64-linux-gnu/perl-base/A.pm", "package A;\nsub f { require A::Late }\n"),
        ("usr/lib/x86_64-linux-gnu/perl-base/A/Late.pm", "use Deep;\n"),
        (
            "usr/share/perl/5.36.0/Beta.pm",
            "package Beta;\nuse Beta2;\nsub f { require Endless; }\nrequire Test::More;\n",
        ),
        ("usr/lib/x86_64-linux-gnu/perl/5.36.0/re.pm", "1;"),
        ("usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/re/re.so", "-"),
        (
            "usr/share/perl/5.36.0/Beta2.pm",
            "use re 'taint';\n=pod\n\nuse Unnamed;\n\n=cut\n\n1;\n__END__\nuse Unnamed;\n",
        ),
        ("usr/share/perl/5.36.0/Deep.pm", "require File::Win32;"),
        ("usr/share/perl/5.36.0/Unnamed.pm", ""),
        ("usr/share/perl/5.36.0/Endless.pm", ""),
        ("usr/share/perl/5.36.0/Test/More.pm", ""),
        ("usr/share/perl/5.36.0/File/Win32.pm", ""),
        ("usr/share/perl5/C/D.pm", "use parent 'C';\n"),
        ("usr/share/perl5/C.pm", "package C;"),
        ("usr/lib/x86_64-linux-gnu/perl5/5.36/Fast.pm", "1;"),
        ("usr/lib/x86_64-linux-gnu/perl5/5.36/auto/Fast/Fast.so", "-"),
        ("usr/share/perl5/app.pl", ""),
    ];
    for (name, text) in library {
        root.file("perl", name, text.as_bytes());
    }
    root.link("perl", "usr/share/perl/5.36", "5.36.0")
        .used("usr/bin/perl", "executed")
        .used("usr/lib/x86_64-linux-gnu/perl-base/A.pm", "opened")
        .file(
            "app",
            "usr/share/app/app.cgi",
            b"use A;\nuse lib \"$FindBin::Bin/lib\";\nsub f { require Beta; }\neval { require C::D; 1 };\n\
              eval 'use Fast; 1';\nrequire 'app.pl' if $x;\n",
        )
        .file("lib", "usr/share/app/lib/Own.pm", b"1;")
        .file(
            "app",
            "usr/bin/app",
            b"#!/usr/bin/perl -w\nuse lib '/usr/share/app/lib';\nsub f { require Own }\n# require Unnamed;\n",
        );
    root
}

#[test]
fn modules_that_kept_perl_code_names_are_kept_at_any_depth() {
    let mut root = root();
    let late = "keep imports: imported in a function of";
    let optional = "keep imports: imported where it is there by";
    let cgi = "/usr/share/app/app.cgi";
    root.tree.get_mut(&cgi.as_bytes()[1..]).expect("is there").mode = 0o755;
    root.file(
        "app",
        "usr/share/app/app.pl",
        b"use A; use lib \"$FindBin::Bin/lib\"; sub f { require Beta; }",
    );
    let pl = "/usr/share/app/app.pl";
    root.expect(&[
        ("usr/share/perl/5.36.0/Beta.pm", &format!("{late} {pl}")),
        ("usr/share/perl/5.36.0/Beta2.pm", "keep imports: imported by /usr/share/perl/5.36.0/Beta.pm"),
        (
            "usr/lib/x86_64-linux-gnu/perl/5.36.0/re.pm",
            "keep imports: imported by /usr/share/perl/5.36.0/Beta2.pm",
        ),
        (
            "usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/re/re.so",
            "keep perl: a compiled part of /usr/lib/x86_64-linux-gnu/perl/5.36.0/re.pm",
        ),
        ("usr/share/perl/5.36.0/Unnamed.pm", "- unused: nothing asked for it"),
        ("usr/share/perl/5.36.0/Endless.pm", "- unused: nothing asked for it"),
        ("usr/share/perl/5.36.0/Test/More.pm", "- unused: nothing asked for it"),
        ("usr/share/perl/5.36.0/File/Win32.pm", "- unused: nothing asked for it"),
        (
            "usr/lib/x86_64-linux-gnu/perl-base/A/Late.pm",
            &format!("{late} /usr/lib/x86_64-linux-gnu/perl-base/A.pm"),
        ),
        (
            "usr/share/perl/5.36.0/Deep.pm",
            "keep imports: imported by /usr/lib/x86_64-linux-gnu/perl-base/A/Late.pm",
        ),
    ]);
    root.file(
        "app",
        "usr/share/app/app.cgi",
        b"#!/usr/bin/perl\neval { require C::D; 1 };\neval 'use Fast; 1';\n",
    );
    root.tree.get_mut(&cgi.as_bytes()[1..]).expect("is there").mode = 0o755;
    root.expect(&[
        ("usr/share/perl5/C/D.pm", &format!("{optional} {cgi}")),
        ("usr/share/perl5/C.pm", "keep imports: imported by /usr/share/perl5/C/D.pm"),
        ("usr/lib/x86_64-linux-gnu/perl5/5.36/Fast.pm", &format!("{optional} {cgi}")),
        (
            "usr/lib/x86_64-linux-gnu/perl5/5.36/auto/Fast/Fast.so",
            "keep perl: a compiled part of /usr/lib/x86_64-linux-gnu/perl5/5.36/Fast.pm",
        ),
        ("usr/share/app/lib/Own.pm", &format!("{late} /usr/bin/app")),
    ]);
}

#[test]
fn perl_sources_of_an_app_that_runs_no_perl_keep_nothing() {
    let mut root = root();
    root.evidence.clear();
    root.expect(&[("usr/share/perl/5.36.0/Beta.pm", "- unused: nothing asked for it")]);
}
