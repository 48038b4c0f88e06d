//! The command line: one file per subcommand.

/// `println!` without its panic: what cannot be told is a failure.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::write_out(&format!("{}\n", format_args!($($text)*)))?
    };
}

mod against;
mod asked;
mod certify;
mod check;
mod chosen;
mod compare;
mod completions;
mod dissector;
mod exit_codes;
mod explain;
mod failed;
mod limits;
mod list;
mod man;
mod merge;
mod options;
mod outlook;
mod probe;
mod reference_server;
mod reports;
mod run;
mod setup;
mod verify;

use std::process::ExitCode as Code;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::report::{ExitCode, tame_where_read};

/// A conformance test harness for vfio-user servers.
#[derive(Debug, Parser)]
#[command(name = "vfio-user-conformance", version, about, after_help = exit_codes::sentence())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    color: colorchoice_clap::Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run cases against a server: the bundled reference server, one that is started, or one that runs.
    Run(Box<run::Run>),
    /// Ask a server what it offers.
    Probe(probe::Probe),
    /// List the cases; with --spawn or --socket, which of them would run, and why the others would not.
    List(Box<list::List>),
    /// Tell what a requirement says, where it comes from, and how it is judged.
    Explain(explain::Explain),
    /// Run case files again: those that `run --generate` wrote, or any others.
    Replay(run::Replay),
    /// Make one report of those that the parts of a run wrote (`run --shard I/N --report json=FILE`).
    Merge(merge::Merge),
    /// Compare reports of several servers, or of several versions of one, requirement by requirement.
    Compare(compare::Compare),
    /// Run everything against a server with fixed settings, and write a bundle that certifies what came of it.
    Certify(certify::Certify),
    /// Check a bundle of `certify`; with --again, run it again.
    Verify(verify::Verify),
    /// Check case files, and with --fix bring them into printed form.
    Check(check::Check),
    /// Print the dissector for Wireshark and tshark, a Lua plugin that reads what `run --trace FILE` writes.
    Dissector(dissector::Dissector),
    /// Serve the conformance device on a socket.
    ReferenceServer(reference_server::ReferenceServer),
    /// Print the completions of a shell.
    Completions(completions::Completions),
    /// Print the man page, or write it and those of the subcommands into a folder.
    Man(man::Manual),
}

/// Something that went wrong, for the user, and the exit code that says so.
#[derive(Debug)]
struct Failure {
    code: ExitCode,
    sentence: String,
}

impl Failure {
    fn usage(sentence: impl Into<String>) -> Failure {
        Failure { code: ExitCode::Usage, sentence: sentence.into() }
    }

    /// A file that the user named: what this machine has no more of is no mistake of theirs.
    fn file(sentence: impl Into<String>, error: &std::io::Error) -> Failure {
        let ours = crate::session::is_want(error.raw_os_error());
        Failure { code: if ours { ExitCode::Internal } else { ExitCode::Usage }, sentence: sentence.into() }
    }

    fn unreachable(sentence: impl Into<String>) -> Failure {
        Failure { code: ExitCode::Unreachable, sentence: sentence.into() }
    }

    fn ours(sentence: impl Into<String>) -> Failure {
        Failure { code: ExitCode::Internal, sentence: sentence.into() }
    }
}

/// Writes a text to standard output, by [`say!`]. Who reads no further, as `head` does, has seen enough: the exit code is that
/// of what was asked for.
fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    let text = tame_where_read(text);
    let written = std::io::Write::write_all(&mut out, text.as_bytes()).and_then(|()| std::io::Write::flush(&mut out));
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::ours(format!("standard output could not be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// The command line, as clap has it.
fn command() -> clap::Command {
    Arguments::command().mut_arg("color", |color| {
        color.help("Colours: where there is a terminal that shows them (NO_COLOR, CLICOLOR and TERM are heeded), always, or never")
    })
}

/// Says something beside the answer, on standard error; that it may be gone is no reason for anything to fail.
fn complain(sentence: &str) {
    let text = format!("vfio-user-conformance: {sentence}\n");
    let text = tame_where_read(&text);
    drop(std::io::Write::write_all(&mut anstream::stderr(), text.as_bytes()));
}

/// The program.
pub fn main() -> Code {
    let parsed = command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; clap's own exit code for usage, 2, means violations here.
            let code = if error.use_stderr() { ExitCode::Usage.number() } else { 0 };
            let _ = error.print();
            return Code::from(code);
        }
    };
    arguments.color.write_global();
    // Where it cannot be raised, fewer servers fit at once; a want of descriptors is told when it comes.
    let _ = crate::target::raise_descriptor_limit();
    let done = std::panic::catch_unwind(|| match arguments.command {
        Command::Run(run) => run.main(),
        Command::Replay(replay) => replay.main(),
        Command::Probe(probe) => probe.main(),
        Command::List(list) => list.main(),
        Command::Explain(explain) => explain.main(),
        Command::Merge(merge) => merge.main(),
        Command::Compare(compare) => compare.main(),
        Command::Certify(certify) => certify.main(),
        Command::Verify(verify) => verify.main(),
        Command::Check(check) => check.main(),
        Command::Dissector(dissector) => dissector.main(),
        Command::ReferenceServer(server) => server.main(),
        Command::Completions(completions) => completions.main(),
        Command::Man(manual) => manual.main(),
    });
    match done {
        Ok(Ok(code)) => Code::from(code.number()),
        Ok(Err(failure)) => {
            complain(&failure.sentence);
            Code::from(failure.code.number())
        }
        // The panic's message stands on standard error already.
        Err(_) => Code::from(ExitCode::Internal.number()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_subcommand_contradicts_itself() {
        super::command().debug_assert();
    }
}
