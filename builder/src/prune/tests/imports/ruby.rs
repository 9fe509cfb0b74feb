use super::*;

#[test]
fn files_that_kept_ruby_code_names_are_kept_at_any_depth() {
    let mut root = Root::new();
    root.policy.imports_bytes = 2000;
    root.policy.app_packages.insert("app".to_owned());
    let files: &[(&str, &str)] = &[
        ("usr/bin/ruby3.1", "-"),
        ("usr/lib/ruby/3.1.0/a.rb", "def f\n  require 'a/late'\nend\n"),
        ("usr/lib/ruby/3.1.0/a/late.rb", "require_relative '../near'\n"),
        ("usr/lib/ruby/3.1.0/near.rb", "def f\n  require 'endless'\nend\n"),
        ("usr/lib/ruby/3.1.0/endless.rb", ""),
        ("usr/lib/ruby/3.1.0/unnamed.rb", ""),
        ("usr/lib/x86_64-linux-gnu/ruby/3.1.0/fast.so", "-\0a/of_c\0a/none\0"),
        ("usr/lib/ruby/3.1.0/a/of_c.rb", ""),
        ("usr/lib/ruby/vendor_ruby/b.rb", "module B\n  autoload :C, 'b/c'\nend\n"),
        ("usr/lib/ruby/vendor_ruby/b/c.rb", ""),
        ("usr/share/rubygems-integration/all/gems/d-1.0/lib/d.rb", ""),
        ("usr/share/app/lib/own.rb", ""),
    ];
    for (name, text) in files {
        root.file("lib", name, text.as_bytes());
    }
    root.used("usr/bin/ruby3.1", "executed").used("usr/lib/ruby/3.1.0/a.rb", "opened").file(
        "app",
        "usr/share/app/app.rb",
        b"require 'a'\nclass App\n  def f\n    require \"b\"\n    require 'own'\n  end\nend\n\
          begin\n  require 'fast'\nrescue LoadError\n  require 'd'\nend\n# require 'unnamed'\n__END__\nrequire 'unnamed'\n",
    );
    let late = "keep imports: imported in a function of";
    let optional = "keep imports: imported where it is there by /usr/share/app/app.rb";
    root.expect(&[
        ("usr/lib/ruby/3.1.0/a/late.rb", &format!("{late} /usr/lib/ruby/3.1.0/a.rb")),
        ("usr/lib/ruby/3.1.0/near.rb", "keep imports: imported by /usr/lib/ruby/3.1.0/a/late.rb"),
        ("usr/lib/ruby/3.1.0/endless.rb", "- unused: nothing asked for it"),
        ("usr/lib/ruby/3.1.0/unnamed.rb", "- unused: nothing asked for it"),
        ("usr/lib/x86_64-linux-gnu/ruby/3.1.0/fast.so", optional),
        (
            "usr/lib/ruby/3.1.0/a/of_c.rb",
            "keep imports: imported where it is there by /usr/lib/x86_64-linux-gnu/ruby/3.1.0/fast.so",
        ),
        ("usr/lib/ruby/vendor_ruby/b.rb", &format!("{late} /usr/share/app/app.rb")),
        ("usr/lib/ruby/vendor_ruby/b/c.rb", &format!("{late} /usr/lib/ruby/vendor_ruby/b.rb")),
        ("usr/share/rubygems-integration/all/gems/d-1.0/lib/d.rb", optional),
        ("usr/share/app/lib/own.rb", &format!("{late} /usr/share/app/app.rb")),
    ]);
}
