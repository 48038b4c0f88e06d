//! How strongly the text binds.

use serde::{Deserialize, Serialize};

use super::Failure;

/// How strongly the text binds the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// The text says must.
    #[serde(rename = "MUST")]
    Must,
    /// The text says should.
    #[serde(rename = "SHOULD")]
    Should,
    /// The text says may.
    #[serde(rename = "MAY")]
    May,
    /// It follows from a format table, another rule or the security paragraph.
    #[serde(rename = "implied")]
    Implied,
}

impl Level {
    /// What a plain miss means unless the register gives a reason for something else.
    pub fn default_failure(self) -> Failure {
        match self {
            Level::Must | Level::Implied => Failure::Violation,
            Level::Should => Failure::Note,
            Level::May => Failure::Info,
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::May => "MAY",
            Level::Implied => "implied",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_written_as_the_files_write_it() {
        for level in [Level::Must, Level::Should, Level::May, Level::Implied] {
            assert_eq!(serde_json::to_string(&level).unwrap(), format!("\"{level}\""));
            assert_eq!(serde_json::from_str::<Level>(&format!("\"{level}\"")).unwrap(), level);
        }
    }
}
