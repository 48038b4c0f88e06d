//! Which cases a user wants: case names or requirement ids, with globs.

use globset::{Glob, GlobMatcher};

use super::Planned;
use crate::requirement::Register;

/// Which cases a user wants; all of them where nothing was said.
#[derive(Debug, Default)]
pub struct Selection {
    filters: Vec<Filter>,
}

/// One filter: a name as it stands, braces and brackets included, or a glob.
#[derive(Debug)]
struct Filter {
    text: String,
    /// `None` where the text is no glob.
    glob: Option<GlobMatcher>,
}

impl Filter {
    fn admits(&self, name: &str) -> bool {
        self.text == name || self.glob.as_ref().is_some_and(|glob| glob.is_match(name))
    }

    fn wants(&self, case: &Planned) -> bool {
        self.admits(&case.name)
            || self.admits(&case.case.name.value)
            || case.requirements().iter().any(|id| self.admits(id))
    }
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
            // The name of a case may hold what makes no glob: `version.data/{"capabilities":[]}`.
            let glob = match Glob::new(filter) {
                Ok(glob) => Some(glob.compile_matcher()),
                Err(_) if filter.contains('/') => None,
                Err(error) => return Err(format!("the filter `{filter}`: {}", error.kind())),
            };
            matchers.push(Filter { text: filter.clone(), glob });
        }
        Ok(Selection { filters: matchers })
    }

    /// The filters that no case is wanted by.
    pub fn unmatched<'c>(&self, cases: impl Iterator<Item = &'c Planned> + Clone) -> Vec<&str> {
        let idle = self.filters.iter().filter(|filter| !cases.clone().any(|case| filter.wants(case)));
        idle.map(|filter| filter.text.as_str()).collect()
    }

    /// The case is wanted: its name or its name without parameters matches, or a requirement that it checks does.
    pub fn admits(&self, case: &Planned) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.wants(case))
    }
}
