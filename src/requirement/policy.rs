//! How an ambiguity of the specification is ruled.

use serde::{Deserialize, Serialize};

/// An ambiguity of the specification, and how it is ruled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its number: `A-36`.
    pub id: String,
    /// What it is about, in a few words.
    pub topic: String,
    /// What the text says, or leaves open.
    pub text: String,
    /// What is held to conform, and what is not.
    pub ruling: String,
}
