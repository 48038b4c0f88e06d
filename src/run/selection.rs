//! Which cases a user wants: case names or requirement ids, with globs.

use globset::{Glob, GlobMatcher};

use super::Planned;
use crate::requirement::Register;

/// Which cases a user wants; all of them where nothing was said.
#[derive(Debug, Default)]
pub struct Selection {
    filters: Vec<GlobMatcher>,
}

impl Selection {
    /// From filters as they were typed.
    ///
    /// # Errors
    /// A sentence for a glob that is none, or an id that looks like a requirement's and is none.
    pub fn new(filters: &[String], register: &Register) -> Result<Selection, String> {
        let mut matchers = Vec::new();
        for filter in filters {
            let plain = !filter.contains(['*', '?', '[', '{']);
            let id = plain
                && filter.split_once('-').is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()))
                && filter.to_uppercase() == *filter;
            if id && register.get(filter).is_none() {
                let similar = register.similar(filter);
                let hint =
                    if similar.is_empty() { String::new() } else { format!("; did you mean {}?", similar.join(", ")) };
                return Err(format!("no requirement `{filter}`{hint}"));
            }
            matchers.push(
                Glob::new(filter)
                    .map_err(|error| format!("the filter `{filter}`: {}", error.kind()))?
                    .compile_matcher(),
            );
        }
        Ok(Selection { filters: matchers })
    }

    /// The case is wanted: its name or its name without parameters matches, or a requirement that it checks does.
    pub fn admits(&self, case: &Planned) -> bool {
        self.filters.is_empty()
            || self.filters.iter().any(|filter| {
                filter.is_match(&case.name)
                    || filter.is_match(&case.case.name.value)
                    || case.requirements().iter().any(|id| filter.is_match(id))
            })
    }
}
