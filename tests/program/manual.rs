//! Completions and man pages: shells and man take them, and nothing of the command line is missing.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use crate::support::Bench;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

/// The subcommands, by `--help`.
fn subcommands(bench: &Bench) -> Vec<String> {
    let help = bench.program(&["--help"]).stdout;
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let words = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<String> = words.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(names.len() >= 10, "{names:?}");
    names.into_iter().filter(|name| name != "help").collect()
}

/// The long options of a subcommand, by `--help`.
fn options(bench: &Bench, subcommand: &str) -> BTreeSet<String> {
    let help = bench.program(&[subcommand, "--help"]).stdout;
    // What is told of them stands further to the right, and may begin with dashes, too.
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines = help.lines().filter(|line| indent(line) <= 6).map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = lines.flat_map(|line| line.split([' ', ',', '[', '=']).take(3).collect::<Vec<_>>());
    let options: BTreeSet<String> = words.filter(|word| word.starts_with("--")).map(str::to_owned).collect();
    assert!(options.contains("--help") && options.contains("--color"), "{subcommand}: {options:?}");
    options
}

/// Runs a program, if it is installed.
fn installed(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{program}: {error}"),
    }
}

#[track_caller]
fn says_nothing(program: &str, output: Option<Output>) {
    let Some(output) = output else { return };
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_shells_that_are_installed_take_their_completions() {
    let bench = Bench::new(&[]);
    for (shell, only_parse) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = bench.program(&["completions", shell]);
        let file = bench.write(shell, &script.has_code(0).stdout);
        says_nothing(shell, installed(shell, &[only_parse, &file]));
    }
    bench.program(&["completions", "tcsh"]).has_code(1).says("invalid value 'tcsh'");
}

#[test]
fn completions_know_every_subcommand_and_option() {
    let bench = Bench::new(&[]);
    for shell in SHELLS {
        let script = bench.program(&["completions", shell]).stdout;
        for subcommand in subcommands(&bench) {
            assert!(script.contains(&subcommand), "{shell}: {subcommand}");
            for option in options(&bench, &subcommand) {
                // fish has them without the dashes.
                let bare = option.trim_start_matches('-');
                assert!(script.contains(&option) || script.contains(&format!("-l {bare}")), "{shell}: {option}");
            }
        }
    }
}

#[test]
fn bash_completes_the_options_of_every_subcommand() {
    let bench = Bench::new(&[]);
    let script = bench.write("bash", &bench.program(&["completions", "bash"]).stdout);
    let ask = "source \"$1\"; COMP_WORDS=(vfio-user-conformance \"$2\" --); COMP_CWORD=2; \
               _vfio__user__conformance vfio-user-conformance -- \"$2\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    for subcommand in subcommands(&bench) {
        let Some(output) = installed("bash", &["-c", ask, "bash", &script, &subcommand]) else { return };
        let offered: BTreeSet<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(offered, options(&bench, &subcommand), "{subcommand}");
    }
}

#[test]
fn each_subcommand_has_a_page_with_all_of_its_options() {
    let bench = Bench::new(&[]);
    let folder = bench.word("new/man");
    assert_eq!(bench.program(&["man", &folder]).has_code(0).stdout, "");
    let mut pages = BTreeSet::from(["vfio-user-conformance.1".to_owned()]);
    for subcommand in subcommands(&bench) {
        let name = format!("vfio-user-conformance-{subcommand}.1");
        let page = fs::read_to_string(bench.path("new/man").join(&name)).unwrap().replace("\\-", "-");
        for option in options(&bench, &subcommand) {
            assert!(page.contains(&option), "{name}: {option}");
        }
        pages.insert(name);
    }
    let written =
        fs::read_dir(bench.path("new/man")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(written.collect::<BTreeSet<_>>(), pages);
    let alone = bench.program(&["man"]);
    assert_eq!(alone.has_code(0).stdout, fs::read_to_string(bench.path("new/man/vfio-user-conformance.1")).unwrap());
}

#[test]
fn the_pages_are_shown_without_a_warning() {
    let bench = Bench::new(&[]);
    let folder = bench.word("man");
    bench.program(&["man", &folder]).has_code(0);
    for entry in fs::read_dir(&folder).unwrap() {
        let page = entry.unwrap().path().into_os_string().into_string().unwrap();
        says_nothing("groff", installed("groff", &["-man", "-ww", "-Tutf8", "-z", &page]));
        says_nothing("man", installed("man", &["--warnings", "--local-file", &page]));
        says_nothing("mandoc", installed("mandoc", &["-T", "lint", "-W", "error", &page]));
    }
}

#[test]
fn the_pages_tell_every_exit_code_and_variable() {
    let bench = Bench::new(&[]);
    let page = bench.program(&["man"]).stdout.replace("\\-", "-");
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table = readme.split("| exit code |").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let codes: Vec<&str> = table.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
    let codes: Vec<&str> = codes.into_iter().filter(|code| code.parse::<u8>().is_ok()).collect();
    assert_eq!(codes.len(), 9, "{codes:?}");
    let told = page.split(".SH \"EXIT STATUS\"").nth(1).unwrap().split(".SH").next().unwrap();
    let told: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("\\fB")?.strip_suffix("\\fR")).collect();
    assert_eq!(told, codes);
    let variables = page.split(".SH ENVIRONMENT").nth(1).unwrap();
    for name in ["VFIO_USER_CONFORMANCE_SPAWN", "VFIO_USER_CONFORMANCE_SEED", "NO_COLOR", "CI", "XDG_STATE_HOME"] {
        assert!(variables.contains(&format!("\\fB{name}\\fR")), "{name}");
    }
    let run = bench.program(&["man", &bench.word("man")]);
    run.has_code(0);
    let run = fs::read_to_string(bench.path("man/vfio-user-conformance-explain.1")).unwrap();
    assert!(run.contains("EXIT STATUS") && !run.contains("CONFORMANCE_SPAWN"), "variables of options that it has not");
}

#[test]
fn a_folder_that_cannot_be_made_is_1() {
    let bench = Bench::new(&[]);
    let file = bench.write("file", "");
    bench.program(&["man", &format!("{file}/man")]).has_code(1).says("could not write").says("/file/man");
}
