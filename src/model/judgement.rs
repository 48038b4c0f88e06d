//! What the model says of one message.

use vfio_user_wire::{Field, HEADER_SIZE, Header};

use crate::verdict::{Class, FieldMark};

/// What the model says of one message and one requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The requirement's id.
    pub requirement: &'static str,
    /// `None` where it held.
    pub broken: Option<Broken>,
}

impl Judgement {
    /// It says that the requirement was violated.
    pub fn is_violation(&self) -> bool {
        self.broken.as_ref().is_some_and(|broken| broken.class == Class::Violation)
    }
}

/// How a requirement was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// How much it weighs.
    pub class: Class,
    /// What would have been right.
    pub expected: String,
    /// What came.
    pub actual: String,
    /// Which bytes show it.
    pub field: Option<FieldMark>,
    /// Which answer would have been right, where it was not for its fields that this one was wrong.
    pub instead: Option<Instead>,
    /// It rests on what came before, and not on this exchange alone.
    pub by_state: bool,
}

/// What would have been right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// A successful reply.
    Success,
    /// An error reply, with this errno where only one is right.
    Refusal(Option<u32>),
    /// The descriptor closed.
    Closing,
    /// So many signals on the descriptor.
    Signals(u64),
}

/// All that the model says of one message; at most one break for each requirement.
#[derive(Debug, Default)]
pub struct Judgements {
    list: Vec<Judgement>,
}

impl Judgements {
    /// Says that a requirement held or, where `held` is false, how it was broken.
    pub fn check(
        &mut self,
        requirement: &'static str,
        held: bool,
        class: Class,
        expected: &str,
        actual: impl FnOnce() -> String,
        field: Option<FieldMark>,
    ) {
        let broken = (!held).then(|| Broken {
            class,
            expected: expected.to_owned(),
            actual: actual(),
            field,
            instead: None,
            by_state: false,
        });
        self.push(Judgement { requirement, broken });
    }

    /// Adds a judgement; of two on one requirement the broken one stays, a violation before a note, else the first.
    pub fn push(&mut self, judgement: Judgement) {
        let class = |judgement: &Judgement| judgement.broken.as_ref().map(|broken| broken.class);
        match self.list.iter_mut().find(|known| known.requirement == judgement.requirement) {
            Some(known) if class(known) < class(&judgement) => *known = judgement,
            Some(_) => {}
            None => self.list.push(judgement),
        }
    }

    /// A check whose miss is a violation.
    pub fn must(
        &mut self,
        requirement: &'static str,
        held: bool,
        expected: &str,
        actual: impl FnOnce() -> String,
        field: Option<FieldMark>,
    ) {
        self.check(requirement, held, Class::Violation, expected, actual, field);
    }

    /// A check whose miss is a note.
    pub fn should(
        &mut self,
        requirement: &'static str,
        held: bool,
        expected: &str,
        actual: impl FnOnce() -> String,
        field: Option<FieldMark>,
    ) {
        self.check(requirement, held, Class::Note, expected, actual, field);
    }

    /// What was said.
    pub fn into_vec(self) -> Vec<Judgement> {
        self.list
    }
}

/// Marks a field of the header.
pub(super) fn header_mark(name: &str) -> Option<FieldMark> {
    Header::LAYOUT.field(name).map(|field| FieldMark {
        name: format!("header.{name}"),
        offset: field.offset,
        length: field.width,
    })
}

/// Marks a field of the payload.
pub(super) fn payload_mark(field: &Field) -> Option<FieldMark> {
    Some(FieldMark { name: field.name.to_owned(), offset: HEADER_SIZE + field.offset, length: field.width })
}

/// Marks bytes of the payload.
pub(super) fn bytes_mark(name: &str, offset: usize, length: usize) -> Option<FieldMark> {
    Some(FieldMark { name: name.to_owned(), offset: HEADER_SIZE + offset, length })
}
