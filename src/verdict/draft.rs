//! A draft of pinned expectations.

use super::comparison::observations;
use super::{CaseRecord, CaseResult, Comparison, Observed};

/// What a draft is made of.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// The cases of a run.
    pub cases: &'a [CaseRecord],
    /// The words of `needs` for what it could test.
    pub offers: &'a [&'a str],
    /// Notes need a pin, too.
    pub strict: bool,
    /// What was pinned already: its reasons are kept.
    pub known: Option<&'a Comparison>,
    /// The run did not come to its end.
    pub incomplete: bool,
}

impl Draft<'_> {
    /// A file that pins all that the cases show, each entry waiting for its reason. A case in error is our fault and cannot
    /// be pinned.
    pub fn text(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut text = String::from(
            "# What this server is known to do wrong. A run with --expect and this file fails only where something \
             changes.\n",
        );
        if self.incomplete {
            text.push_str(
                "# The run that it was drafted from did not come to its end: what is not here was not seen.\n",
            );
        }
        // What a server gains is no drift: that it lacked it is not pinned.
        let offers = self.offers.iter().filter(|word| !word.starts_with("no-"));
        let offers: Vec<String> = offers.map(|word| format!("    {},\n", quoted(word))).collect();
        text.push_str(
            "\n# What can be tested, in the words of `probe`: what is lost of it is told, and not skipped.\n",
        );
        text.push_str(&format!("offers = [\n{}]\n", offers.concat()));
        let mut drafted = Vec::new();
        for case in self.cases.iter().filter(|case| case.result != CaseResult::Error) {
            let seen = observations(case).into_iter();
            for observation in seen.filter(|observation| self.strict || observation.observed != Observed::Note) {
                // Steps of one case may miss one requirement in the same way.
                let entry = (case.name.as_str(), observation.requirement.clone(), observation.observed);
                if drafted.contains(&entry) {
                    continue;
                }
                let requirement = observation.requirement.as_deref();
                let known = self.known.and_then(|known| known.pin(&case.name, requirement, observation.observed));
                let new = format!("not explained yet: {}", observation.detail);
                let (reason, link) =
                    known.map_or((new.as_str(), None), |known| (known.reason.as_str(), known.link.as_deref()));
                text.push_str("\n[[expect]]\n");
                text.push_str(&format!("case = {}\n", quoted(&literal(&case.name))));
                if let Some(requirement) = requirement {
                    text.push_str(&format!("requirement = {}\n", quoted(requirement)));
                }
                text.push_str(&format!("outcome = \"{}\"\n", observation.observed));
                text.push_str(&format!("reason = {}\n", quoted(reason)));
                if let Some(link) = link {
                    text.push_str(&format!("link = {}\n", quoted(link)));
                }
                drafted.push(entry);
            }
        }
        text
    }
}

/// A glob of this name and no other. A backslash, too, says something in a glob.
pub(crate) fn literal(name: &str) -> String {
    globset::escape(&name.replace('\\', "\\\\"))
}
