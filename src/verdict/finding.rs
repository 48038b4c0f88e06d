//! One deviation from one requirement.

use serde::{Deserialize, Serialize};

use crate::model::Instead;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Worth reporting; never fails a run unless asked (`--strict`).
    Note,
    /// Contradicts the specification.
    Violation,
}

/// What a finding rests on. Bytes, a close and an exit are evidence that was seen once and for all; a deadline that
/// passed may have passed because the machine was busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Something that was received: bytes, descriptors, signals, the contents of memory.
    Received,
    /// The server closed the connection.
    Closed,
    /// The server's process ended, or a sanitizer reported it.
    Exited,
    /// Nothing came before the deadline.
    Deadline,
}

/// Which bytes of a message a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldMark {
    /// The field's name; `header.` before those of the header.
    pub name: String,
    /// Bytes from the start of the message, header included.
    pub offset: usize,
    /// Bytes.
    pub length: usize,
}

/// One deviation from one requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The requirement's id.
    pub requirement: String,
    /// How much it weighs.
    pub class: Class,
    /// The policies that decided, where the text is open.
    pub policy: Vec<String>,
    /// What would have been right.
    pub expected: String,
    /// What came instead.
    pub actual: String,
    /// The step of the case, from 1; 0 for what was found after the last one.
    pub step: usize,
    /// The line of the case file, from 1.
    pub line: usize,
    /// The number of the message in the transcript that shows it.
    pub message: Option<usize>,
    /// Which bytes of that message.
    pub field: Option<FieldMark>,
    /// What it rests on.
    pub evidence: Evidence,
    /// Which answer would have been right, where the model says so.
    #[serde(skip)]
    pub instead: Option<Instead>,
    /// It rests on what came before: a line that speaks of the same answer knows better what is wrong with it.
    #[serde(skip)]
    pub by_state: bool,
    /// In how many of how many attempts it was seen, where there was more than one: "seen 1 of 3".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen: Option<(usize, usize)>,
}
