//! `completions SHELL`.

use clap::Args;
use clap_complete::aot::{Shell, generate};

use super::{Failure, command};
use crate::report::ExitCode;

/// Print the completions of a shell, for the file that it reads them from.
///
/// bash: ~/.local/share/bash-completion/completions/vfio-user-conformance; zsh: _vfio-user-conformance in a folder of $fpath;
/// fish: ~/.config/fish/completions/vfio-user-conformance.fish.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        const NAME: &str = env!("CARGO_PKG_NAME");
        let mut text = Vec::new();
        generate(self.shell, &mut command(), NAME, &mut text);
        let mut text = String::from_utf8_lossy(&text).into_owned();
        if self.shell == Shell::Bash {
            // The script looks for a subcommand by one name and has it by another, where a program's name has hyphens
            // (clap issue 6421, open with clap_complete 4.6.11).
            text = text.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__"));
        }
        super::write_out(&text)?;
        Ok(ExitCode::Conforming)
    }
}
