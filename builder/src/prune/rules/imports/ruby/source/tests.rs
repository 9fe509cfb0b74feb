use super::*;

fn told(source: &str) -> Vec<String> {
    let text = |named: Named| {
        let mark = match named.need {
            Need::Sure => "",
            Need::Late => "~",
            Need::Optional => "?",
        };
        let from = match named.from {
            From::LoadPath => "",
            From::Beside => "./",
            From::Inside => "//",
        };
        format!("{mark}{from}{}", named.name)
    };
    names(source.as_bytes()).into_iter().map(text).collect()
}

#[test]
fn files_are_found_wherever_they_are_named() {
    let rows: &[(&str, &[&str])] = &[
        ("require 'a'\nrequire \"b/c\"\nrequire('d'); load 'e.rb'\n", &["a", "b/c", "d", "e.rb"]),
        ("require_relative 'a'\nrequire \"#{__dir__}/b\"\nrequire \"#{x}/no\"\n", &["./a", "./b"]),
        (
            "require File.expand_path('../a', __FILE__)\nrequire File.expand_path(\"b\", __dir__)\n",
            &["//../a", "./b"],
        ),
        ("module A\n  autoload :B, 'a/b'\n  autoload(:C, \"a/c\")\n  autoload :D\nend\n", &["~a/b", "~a/c"]),
        (
            "class A\n  def f\n    require 'a' if x\n    if x then require 'b' end\n  end\n  require 'c'\nend\n",
            &["~a", "~b", "c"],
        ),
        ("begin\n  require 'a'\nrescue LoadError\n  require 'b'\nend\nrequire 'c'\n", &["?a", "?b", "c"]),
        ("def f\n  require 'a'\nrescue LoadError => e\nend\n", &["?a"]),
        ("begin\n  require 'a'\nrescue KeyError\nend\n", &["a"]),
        ("while x do\n y\nend\nx.each do |y|\n require 'a'\nend\ndef f; end\nrequire 'b'\n", &["a", "b"]),
        (
            "x = if y\n  1\nend\ndef f\n  z = case y when 1 then 2 end\n require 'a'\nend\nrequire 'b'\n",
            &["~a", "b"],
        ),
        ("def self.f(if: 1)\n  self.class.new\nend\nrequire 'a'\n", &["a"]),
    ];
    for (source, expected) in rows {
        assert_eq!(told(source), *expected, "{source}");
    }
}

#[test]
fn comments_texts_and_data_do_not_count() {
    for source in [
        "# require 'a'\n",
        "=begin\nrequire 'a'\n=end\n",
        "x = \"require 'a'\"\ny = 'require \"b\"'\nz = %q(require 'c')\n",
        "x = <<~A + <<-'B'\n  require 'a'\n  A\n  require 'b'\n  B\n",
        "1\n__END__\nrequire 'a'\n",
        "x.require 'a'\ndef require(x); end\n{ require: 'a' }\nx = :require\n",
        "x = %w[require 'a']\ny = /require 'a'/\n",
    ] {
        assert_eq!(told(source), [] as [&str; 0], "{source}");
    }
    for source in [
        "x = a / b; require 'a' # / '\n",
        "x = ?\"; require 'a'\n",
        "x = \"a#{h[\"b\"]}c\"; require 'a'\n",
        "x =~ /'/; require 'a'\n",
        "x % 3; require 'a'\n",
        "class << self\nend\nrequire 'a'\n",
        "x << 'y'; require 'a'\n",
        "x = $'; require 'a'\n",
    ] {
        assert_eq!(told(source), ["a"], "{source}");
    }
}

#[test]
fn sources_cut_anywhere_and_hostile_ones_end_soon() {
    let all = "require 'a'\ndef f; x = \"a#{b}\" =~ /c/; %w[d e]; <<~F; end\n F\n=begin\n=end\nautoload :X, 'y'\n$: ?x @@y";
    for end in 0..all.len() {
        told(&all[..end]);
        told(&all[end..]);
    }
    let started = std::time::Instant::now();
    for piece in [
        "\"#{",
        "<<A\n",
        "/\\/",
        "def ",
        "end ",
        "%q(",
        "=begin\n",
        "__END__ \n",
        "?",
        "$",
        "autoload ",
        "rescue ",
    ] {
        names(piece.repeat(200_000 / piece.len()).as_bytes());
    }
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}
