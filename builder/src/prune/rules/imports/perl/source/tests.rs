use super::*;

fn told(source: &str) -> Vec<String> {
    let mark = |need: &Need| match need {
        Need::Sure => "",
        Need::Late => "~",
        Need::Optional => "?",
    };
    let text = |named: Named| match named {
        Named::Module(name, need) => format!("{}{name}", mark(&need)),
        Named::File(name, need) => format!("{}file {name}", mark(&need)),
        Named::Directory(name) => format!("lib {name}"),
        Named::Package(name) => format!("package {name}"),
    };
    names(source.as_bytes()).into_iter().map(text).collect()
}

#[test]
fn modules_are_found_wherever_they_are_loaded() {
    let rows: &[(&str, &[&str])] = &[
        ("use A::B qw(c d);\nuse 5.010; use v5.36;\nrequire C;\n", &["A::B", "C"]),
        ("sub f { require A; my %x = (require => 1); $x->require('no'); }\nrequire B;", &["~A", "B"]),
        ("sub f($;$) { use A }\nmy $f = sub { require B };\n", &["A", "~B"]),
        ("eval { require A; 1 } or require B;", &["?A", "B"]),
        ("eval \"require A::B; 1\" || die; eval 'use C'; eval \"require $x\";", &["?A::B", "?C"]),
        (
            "use parent -norequire, 'A';\nuse base qw( B C::D );\nuse parent 'E';",
            &["parent", "base", "B", "C::D", "parent", "E"],
        ),
        ("use parent qw(-norequire A);", &["parent"]),
        ("use if $] < 5.01, 'A::B' => qw(x);\nuse if $x, C => 1;", &["if", "?A::B", "if", "?C"]),
        (
            "use lib \"$FindBin::Bin/../lib\"; unshift @INC, '/usr/share/x';",
            &["lib", "lib $FindBin::Bin/../lib", "lib /usr/share/x"],
        ),
        ("require 'x.pl'; require \"$x.pl\"; do './y.pl'; do { 1 };", &["file x.pl", "file ./y.pl"]),
        (
            "package A::B;\nModule::Runtime::use_module('C::D'); load_class(\"E\");",
            &["package A::B", "C::D", "E"],
        ),
        ("extends 'A', 'B'; with qw(C D);", &["A", "B", "C", "D"]),
        ("BEGIN { require A }\nif ($x) { require B }", &["A", "B"]),
        ("require A::;\nrequire A::B->import;", &["A::B"]),
    ];
    for (source, expected) in rows {
        assert_eq!(told(source), *expected, "{source}");
    }
}

#[test]
fn comments_texts_pod_and_data_do_not_count() {
    for source in [
        "# require A;\n",
        "my $x = 'require A;'; print \"use A;\n require B;\";",
        "=pod\n\nuse A;\n\nrequire B;\n\n=cut\n",
        "1;\n__END__\nuse A;\nrequire B;\n",
        "my $x = q{ require A; { require B; } require C };",
        "print <<EOT, <<'OTHER';\nrequire A;\nEOT\nrequire B;\nOTHER\n",
        "print {$fh} <<~\"E F\";\n  require A;\n  E F\n",
        "$x =~ s{ require A; }{ require B; }x; $x =~ tr/a/b/; $y =~ m/;require C;/;",
        "my @x = split /;require A;'/, $y;",
        "$s{require}; $x->{s}; $h{y} = 1; $h{q}; %o = (s => 1, y => 2, require => 3);",
        "no A;",
        "$#x; $#{$x}; $#$x; \"#\"; $x->$#*;",
    ] {
        assert_eq!(told(source), [] as [&str; 0], "{source}");
    }
    for source in [
        "my $x = $a / $b; require A; $c / 2;",
        "-s $file; require A;",
        "my $n = keys(%h) / 2; require A;\n$m = 1 / 3;",
        "$x = 1 << 3; require A;",
        "if ($#ARGV < 0) {} require A;",
        "$_ = '\\\\'; require A;",
        "=head1 X\n\n=cut\nrequire A;",
        "my $x = { s => 1, m => 2 }; require A;",
        "print <<A . 'x';\nA\nrequire A;",
        "$x =~ m{ [}] }x; require A;",
        "sub y { 1 } require A;",
        "my %h = %$x; require A; $y = $x % 3;",
        "print $$, $$x, $$; require A;",
    ] {
        assert_eq!(told(source), ["A"], "{source}");
    }
}

#[test]
fn sources_cut_anywhere_and_hostile_ones_end_soon() {
    let all = "use A; sub f { eval { require B } } $x =~ s{a}{b}; print <<E; q(c);\nE\n=pod\n=cut\n qw/a b/ %$x @{$y} $#{z}";
    for end in 0..all.len() {
        told(&all[..end]);
        told(&all[end..]);
    }
    let started = std::time::Instant::now();
    for piece in
        ["<<A;\n", "/\\/", "$", "q(", "{", "}", "eval 'use A';", "s{", "=a\n", "<<~'", "$$", "\\", "eval q{"]
    {
        names(piece.repeat(200_000 / piece.len()).as_bytes());
    }
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}
