//! `explain ID`.

use clap::Args;

use super::{Failure, setup};
use crate::report::ExitCode;
use crate::requirement::explain;

/// Tell what a requirement says, where it comes from, and how it is judged.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The requirement's id, or that of a policy: DMAP-05, A-10.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

impl Explain {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        let register = setup::register()?;
        for (n, id) in self.ids.iter().enumerate() {
            let id = id.to_uppercase();
            let text = match (register.get(&id), register.policy(&id)) {
                (Some(requirement), _) => explain(requirement, &register),
                (None, Some(policy)) => format!(
                    "{}: {}\n\nThe text: {}\nThe ruling: {}\n",
                    policy.id, policy.topic, policy.text, policy.ruling
                ),
                (None, None) => {
                    let similar = register.similar(&id);
                    let hint = if similar.is_empty() {
                        String::new()
                    } else {
                        format!("; did you mean {}?", similar.join(", "))
                    };
                    return Err(Failure::usage(format!("no requirement `{id}`{hint}")));
                }
            };
            say!("{}{}", if n > 0 { "\n" } else { "" }, text.trim_end());
        }
        Ok(ExitCode::Conforming)
    }
}
