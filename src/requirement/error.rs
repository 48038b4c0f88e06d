//! What can be wrong with a register.

/// What is wrong with the files of a register.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// A file cannot be read as the tables that it should hold.
    #[error("{file}:{line}: {}{message}", entry.as_ref().map(|id| format!("{id}: ")).unwrap_or_default())]
    Toml {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The id of the entry on that line.
        entry: Option<String>,
        /// What is wrong there; it names the key.
        message: String,
    },
    /// Two entries have one id.
    #[error("{file}: {id} is already defined in {first}")]
    Duplicate {
        /// The file of the second.
        file: String,
        /// The id.
        id: String,
        /// The file of the first.
        first: String,
    },
    /// A requirement stands in the file of another section.
    #[error("{file}: {id} does not begin with the id of the file's section, {section}")]
    Section {
        /// The file.
        file: String,
        /// The requirement.
        id: String,
        /// The section of the file.
        section: String,
    },
    /// A file has requirements and no section.
    #[error("{file}: {id} has no section: the file lacks [section]")]
    NoSection {
        /// The file.
        file: String,
        /// Its first requirement.
        id: String,
    },
    /// A requirement belongs to profiles that are none.
    #[error("{file}: {id}: profiles: `{words}` means no version of the protocol")]
    Profiles {
        /// The file.
        file: String,
        /// The requirement.
        id: String,
        /// What it says.
        words: String,
    },
    /// A requirement names a policy that is not there.
    #[error("{file}: {id}: policy: there is no {policy}")]
    UnknownPolicy {
        /// The file.
        file: String,
        /// The requirement.
        id: String,
        /// What it names.
        policy: String,
    },
    /// A requirement's failure class is not that of its level, and nothing says why.
    #[error("{file}: {id}: failure_reason is missing: `failure` is not the default of the level")]
    NoReason {
        /// The file.
        file: String,
        /// The requirement.
        id: String,
    },
    /// A file that was compiled in is not text.
    #[error("{file} is not UTF-8")]
    Encoding {
        /// The file.
        file: String,
    },
}
