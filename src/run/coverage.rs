//! Which cases check which requirement.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Plan;
use crate::requirement::{Register, Requirement, wrap};

/// How wide the names of cases run.
const WIDTH: usize = 100;

/// Every requirement by section, and the cases that name it. Displayed, it is what `list --requirements` prints.
#[derive(Debug)]
pub struct Coverage<'a> {
    register: &'a Register,
    cases: BTreeMap<String, BTreeSet<String>>,
}

impl<'a> Coverage<'a> {
    /// What these cases check.
    pub fn new(register: &'a Register, plan: &Plan) -> Coverage<'a> {
        let mut cases: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for case in &plan.cases {
            for id in case.requirements() {
                cases.entry(id).or_default().insert(case.name.split('/').next().unwrap_or_default().to_owned());
            }
        }
        Coverage { register, cases }
    }

    /// The cases that check a requirement, by name, without their parameters.
    pub fn cases(&self, id: &str) -> impl Iterator<Item = &str> {
        self.cases.get(id).into_iter().flatten().map(String::as_str)
    }

    /// The requirements that have neither a case nor a reason why none can be.
    pub fn missing(&self) -> impl Iterator<Item = &Requirement> {
        self.register
            .requirements()
            .filter(|requirement| requirement.untestable.is_none() && self.cases(&requirement.id).next().is_none())
    }
}

impl fmt::Display for Coverage<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, section) in self.register.sections().enumerate() {
            let gap = if n == 0 { "" } else { "\n\n" };
            writeln!(out, "{gap}{} ({})", section.title, section.lines)?;
            for requirement in self.register.requirements().filter(|requirement| requirement.section == section.id) {
                writeln!(out, "\n{:<12}{:<9}{}", requirement.id, requirement.level.to_string(), requirement.text)?;
                let names: Vec<&str> = self.cases(&requirement.id).collect();
                let said = match &requirement.untestable {
                    Some(reason) => format!("no case: {reason}"),
                    None if names.is_empty() => "no case yet".to_owned(),
                    None => names.join(" "),
                };
                for line in wrap(&said, WIDTH) {
                    writeln!(out, "            {line}")?;
                }
            }
        }
        Ok(())
    }
}
