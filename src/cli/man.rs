//! `man [DIR]`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::exit_codes::EXIT_CODES;
use super::{Failure, command};
use crate::report::{self, ExitCode};

/// What is looked at besides the variables of options.
const VARIABLES: [(&str, &str); 7] = [
    (
        "NO_COLOR",
        "If it is set and not empty, there are no colours; so with CLICOLOR=0 and TERM=dumb. --color stands over all of them.",
    ),
    ("CLICOLOR_FORCE", "If it is set and not 0, there are colours where there is no terminal, too."),
    ("CLICOLOR", "0 for no colours."),
    ("TERM", "dumb for neither colours nor a bar of progress."),
    ("CI", "If it is set, progress is told in lines, now and then, where a terminal would have a bar."),
    ("XDG_STATE_HOME", "Below it is remembered what failed, for run --failed; ~/.local/state where it is not set."),
    ("TMPDIR", "Where the sockets of started servers are."),
];

/// Print the man page; or write it, with one for each subcommand, into a folder.
#[derive(Debug, Args)]
pub(super) struct Manual {
    /// The folder, which is made where there is none: `man --local-file DIR/vfio-user-conformance-run.1` shows a page of it.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Manual {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        // That of `help` would say nothing.
        let mut all = command().disable_help_subcommand(true).after_help(Resettable::Reset);
        all.build();
        let Some(folder) = &self.folder else {
            let page = page(&all).map_err(|error| Failure::ours(format!("the man page cannot be made: {error}")))?;
            super::write_out(&String::from_utf8_lossy(&page))?;
            return Ok(ExitCode::Conforming);
        };
        for one in std::iter::once(&all).chain(all.get_subcommands()) {
            write(folder, one)
                .map_err(|error| Failure::file(format!("could not write {}: {error}", folder.display()), &error))?;
        }
        Ok(ExitCode::Conforming)
    }
}

fn write(folder: &Path, command: &Command) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let name = Man::new(command.clone()).get_filename();
    report::write_whole(&folder.join(name), &page(command)?)
}

/// The page of a command.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).manual("Conformance of vfio-user servers");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut more = Roff::new();
    more.control("SH", ["EXIT STATUS"]);
    for (code, said) in EXIT_CODES {
        more.control("TP", []).text([bold(code.number().to_string())]).text([roman(said)]);
    }
    more.control("SH", ["ENVIRONMENT"]);
    for (name, said) in variables(command) {
        more.control("TP", []).text([bold(name)]).text([roman(said)]);
    }
    more.to_writer(&mut page)?;
    if command.get_version().is_some() {
        man.render_version_section(&mut page)?;
    }
    Ok(page)
}

/// The variables that stand for options, of the command and of its subcommands, and the others.
fn variables(command: &Command) -> Vec<(String, String)> {
    let mut of_options: BTreeMap<String, String> = BTreeMap::new();
    for one in std::iter::once(command).chain(command.get_subcommands()) {
        for (argument, name) in one.get_arguments().filter_map(|argument| Some((argument, argument.get_env()?))) {
            let option = argument.get_long().unwrap_or(argument.get_id().as_str());
            of_options.insert(name.to_string_lossy().into_owned(), format!("As --{option}, where that is left out."));
        }
    }
    let others = VARIABLES.iter().map(|(name, said)| ((*name).to_owned(), (*said).to_owned()));
    of_options.into_iter().chain(others).collect()
}
