//! `explain WHAT`.

use clap::Args;

use super::{Failure, setup};
use crate::case::print;
use crate::report::ExitCode;
use crate::requirement::{Register, explain};
use crate::run::Library;

/// Tell what a requirement says, where it comes from, and how it is judged; what a case does, and what it checks.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The id of a requirement or a policy, or the name of a case as a report has it: DMAP-05, A-10, dma-map.overlap.
    #[arg(value_name = "WHAT", required = true)]
    subjects: Vec<String>,
}

impl Explain {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        let register = setup::register()?;
        for (n, subject) in self.subjects.iter().enumerate() {
            let text = match subject.contains('.') {
                true => of_case(subject, &register)?,
                false => of_id(&subject.to_uppercase(), &register)?,
            };
            say!("{}{}", if n > 0 { "\n" } else { "" }, text.trim_end());
        }
        Ok(ExitCode::Conforming)
    }
}

fn of_id(id: &str, register: &Register) -> Result<String, Failure> {
    match (register.get(id), register.policy(id)) {
        (Some(requirement), _) => Ok(explain(requirement, register)),
        (None, Some(policy)) => {
            Ok(format!("{}: {}\n\nThe text: {}\nThe ruling: {}\n", policy.id, policy.topic, policy.text, policy.ruling))
        }
        (None, None) => {
            let similar = register.similar(id);
            let hint =
                if similar.is_empty() { String::new() } else { format!("; did you mean {}?", similar.join(", ")) };
            Err(Failure::usage(format!("no requirement `{id}`{hint}")))
        }
    }
}

/// The lines of a case, and in short the requirements that they check.
fn of_case(name: &str, register: &Register) -> Result<String, Failure> {
    let library = setup::library(None, register)?;
    // Behind its name stand the values of its parameters.
    let bare = name.split('/').next().unwrap_or(name);
    let cases = library.cases.iter().flat_map(|(source, cases)| cases.iter().map(move |case| (source, case)));
    let Some((source, case)) = cases.clone().find(|(_, case)| *case.name == bare) else {
        return Err(no_case(bare, &library));
    };
    let mut text = format!("{}\n\n{}\n", source.name, print(std::slice::from_ref(case)).trim_end());
    let mut told = Vec::new();
    for id in case.requirements().map(|id| id.as_str()) {
        if told.contains(&id) {
            continue;
        }
        told.push(id);
        if let Some(requirement) = register.get(id) {
            text.push_str(&format!("\n{id} {} ({}): {}\n", requirement.level, requirement.clause(), requirement.text));
        }
    }
    text.push_str("\n`explain ID` tells how each is judged.\n");
    Ok(text)
}

fn no_case(bare: &str, library: &Library) -> Failure {
    let names = library.cases.iter().flat_map(|(_, cases)| cases).map(|case| case.name.as_str());
    let hint = crate::case::similar(bare, names).map_or(String::new(), |name| format!("; did you mean {name}?"));
    Failure::usage(format!("no case `{bare}`{hint}"))
}
