//! Colours and progress, where there is a terminal and where there is none.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::{Bench, PASSES, RESETS, server};
use nix::pty::openpty;

const VARIABLES: [&str; 6] = ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "TERM", "COLORTERM"];

/// The program with `run` against a server that fails `reset.refused`, with nothing in its environment that tells of terminals.
fn program(bench: &Bench, environment: &[(&str, &str)], more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vfio-user-conformance"));
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
        .envs(environment.iter().copied())
        .env("XDG_STATE_HOME", bench.path("state"))
        .env("TMPDIR", bench.path("tmp"));
    command
        .args(["run", "--cases", &bench.word("cases"), "--spawn", &server("wrong-id"), "--timeout", "5s"])
        .args(more);
    command.stdin(Stdio::null());
    command
}

fn bench() -> Bench {
    Bench::new(&[("a.case", PASSES), ("b.case", RESETS)])
}

/// What it writes where standard output and standard error are a terminal.
fn on_terminal(environment: &[(&str, &str)], more: &[&str]) -> String {
    let bench = bench();
    let pty = openpty(None, None).unwrap();
    let mut command = program(&bench, environment, more);
    command.stdout(pty.slave.try_clone().unwrap()).stderr(pty.slave);
    let mut child = command.spawn().unwrap();
    // The command holds the other ends, and the terminal is read until all of them are gone.
    drop(command);
    let (mut terminal, mut bytes, mut buffer) = (File::from(pty.master), Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let said = String::from_utf8(bytes).unwrap();
    assert!(said.contains("the server violates 1 requirement"), "{said}");
    said
}

/// What it writes into pipes.
fn in_pipes(environment: &[(&str, &str)], more: &[&str]) -> (String, String) {
    let bench = bench();
    let output = program(&bench, environment, more).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (out, error)
}

/// There is nothing but how far the run is, which is told every 30 seconds.
fn is_progress(error: &str) -> bool {
    error.lines().all(|line| line.starts_with("after ") && !line.contains(['\u{1b}', '\r']))
}

/// Some text is coloured: ESC [ digits and semicolons m.
fn has_colours(text: &str) -> bool {
    text.split("\u{1b}[").skip(1).any(|part| {
        part.split_once(|c: char| !c.is_ascii_digit() && c != ';')
            .is_some_and(|_| part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
    })
}

/// The cursor is moved, as for a bar of progress.
fn moves_cursor(text: &str) -> bool {
    let escapes = text.split("\u{1b}[").skip(1);
    escapes
        .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'))
        .any(|part| !part.starts_with('m'))
        || text.replace("\r\n", "\n").contains('\r')
}

#[test]
fn a_terminal_has_colours_and_a_bar() {
    let said = on_terminal(&[("TERM", "xterm-256color")], &[]);
    assert!(has_colours(&said) && moves_cursor(&said), "{said:?}");
    assert!(said.contains("reset.refused"), "{said:?}");
}

#[test]
fn colours_are_off_where_they_should_be() {
    for (environment, more) in [
        (&[("TERM", "xterm"), ("NO_COLOR", "1")][..], &[][..]),
        (&[("TERM", "xterm"), ("CLICOLOR", "0")], &[]),
        (&[("TERM", "xterm"), ("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], &[]),
        (&[("TERM", "xterm")], &["--color", "never"]),
        (&[("TERM", "xterm"), ("CLICOLOR_FORCE", "1")], &["--color", "never"]),
    ] {
        let said = on_terminal(environment, more);
        assert!(!has_colours(&said), "{environment:?} {more:?} {said:?}");
        assert!(moves_cursor(&said), "the bar is no colour: {environment:?} {more:?} {said:?}");
    }
}

#[test]
fn a_terminal_that_can_do_nothing_gets_text_alone() {
    for environment in [&[("TERM", "dumb")][..], &[]] {
        let said = on_terminal(environment, &[]);
        assert!(!said.contains('\u{1b}') && !moves_cursor(&said), "{environment:?} {said:?}");
    }
}

#[test]
fn a_terminal_of_ci_has_colours_and_no_bar() {
    let said = on_terminal(&[("TERM", "xterm"), ("CI", "true")], &[]);
    assert!(has_colours(&said) && !moves_cursor(&said), "{said:?}");
}

#[test]
fn without_a_terminal_there_is_text_alone() {
    let (out, error) = in_pipes(&[("TERM", "xterm")], &[]);
    assert!(!out.contains('\u{1b}') && !out.contains('\r'), "{out:?}");
    assert!(is_progress(&error), "{error:?}");
}

#[test]
fn colours_can_be_had_without_a_terminal() {
    for (environment, more) in [
        (&[("CLICOLOR_FORCE", "1")][..], &[][..]),
        (&[], &["--color", "always"]),
        (&[("NO_COLOR", "1")], &["--color=always"]),
    ] {
        let (out, error) = in_pipes(environment, more);
        assert!(has_colours(&out) && !moves_cursor(&out), "{environment:?} {more:?} {out:?}");
        assert!(is_progress(&error), "{error:?}");
    }
}

#[test]
fn what_is_no_time_for_colours_is_1() {
    let bench = bench();
    bench.program(&["list", "--color", "sometimes"]).has_code(1).says("invalid value 'sometimes'");
    bench.program(&["--color", "never", "list", "--cases", &bench.word("cases")]).has_code(0);
}
