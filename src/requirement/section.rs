//! A section of the specification, by the prefix of its ids.

use serde::{Deserialize, Serialize};

/// A section of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The prefix of its requirements' ids: `HDR`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The lines of the text that it covers.
    pub lines: String,
}
