//! Why reports are not the parts of one run, as sentences that name the files.

use crate::verdict::PinError;

/// Why reports are not the parts of one run.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// There is none.
    #[error("there is no report to merge")]
    Nothing,
    /// It is no part.
    #[error("{file} is the report of a whole run, and no part of one: only what `run --shard I/N` wrote is merged")]
    Whole {
        /// The file.
        file: String,
    },
    /// It is a part that there is not.
    #[error("{file} says that it is part {index} of {count}, which there is not")]
    NoPart {
        /// The file.
        file: String,
        /// Which part it says.
        index: usize,
        /// Of how many.
        count: usize,
    },
    /// It was made by another program.
    #[error("{file} was made by {theirs}, and this is {ours}: merge the parts with the program that made them")]
    OtherHarness {
        /// The file.
        file: String,
        /// Its harness.
        theirs: String,
        /// This one.
        ours: String,
    },
    /// It is of a time when parts did not say of which cases they are.
    #[error(
        "{file} does not say which cases were selected for all parts (`shard.selected_sha256`): run it again (`--shard {index}/{count}`)"
    )]
    Unsaid {
        /// The file.
        file: String,
        /// Which part it is.
        index: usize,
        /// Of how many.
        count: usize,
    },
    /// It has results too many or too few.
    #[error("{file} does not account for every case of its part: run it again (`--shard {index}/{count}`)")]
    Unaccounted {
        /// The file.
        file: String,
        /// Which part it is.
        index: usize,
        /// Of how many.
        count: usize,
    },
    /// Parts of runs that were cut into more and less.
    #[error("{first} is a part of {of_first}, {file} is a part of {of_other}: merge the parts of one run")]
    OtherCount {
        /// A file.
        first: String,
        /// How many parts its run has.
        of_first: usize,
        /// Another file.
        file: String,
        /// How many parts that run has.
        of_other: usize,
    },
    /// One part is there twice.
    #[error("part {index} of {count} is there twice, in {first} and in {file}: leave one of them out")]
    Twice {
        /// Which part.
        index: usize,
        /// Of how many.
        count: usize,
        /// A file.
        first: String,
        /// Another file.
        file: String,
    },
    /// Parts are not there.
    #[error(
        "part {missing} of {count} is missing: there is {present}; run it (`--shard {missing}/{count}`), or add its report"
    )]
    Missing {
        /// The first that is missing.
        missing: usize,
        /// Of how many.
        count: usize,
        /// The files that are there, each with its part.
        present: String,
    },
    /// They are of different runs.
    #[error("{first} and {file} are no parts of one run: they differ in {what}")]
    Differ {
        /// A file.
        first: String,
        /// Another file.
        file: String,
        /// In what, with what each says.
        what: String,
    },
    /// One case was played in two parts.
    #[error("the case {case} stands in two parts, in {first} and in {file}: merge the parts of one run")]
    InTwo {
        /// The case.
        case: String,
        /// A file.
        first: String,
        /// Another file.
        file: String,
    },
    /// A case of another part.
    #[error(
        "the case {case} stands in {file}, which is part {index} of {count}, and belongs to part {belongs}: the report was not made by `run --shard {index}/{count}`"
    )]
    Elsewhere {
        /// The case.
        case: String,
        /// The file.
        file: String,
        /// Which part that is.
        index: usize,
        /// Of how many.
        count: usize,
        /// Which part the case belongs to.
        belongs: usize,
    },
    /// All parts together are not all.
    #[error("the parts {files} have {have} cases, and {selected} were selected: a report is not as it was written")]
    Fewer {
        /// The files.
        files: String,
        /// How many cases they have.
        have: usize,
        /// How many there are to be.
        selected: usize,
    },
    /// All parts together are of other cases.
    #[error("the parts {files} have other cases than those that were selected: a report is not as it was written")]
    Others {
        /// The files.
        files: String,
    },
    /// One part drew too many sequences, or too few.
    #[error(
        "{first} has {of_first} generated sequences, {file} has {of_other}, and these are no parts of one number: give each part the same --generate"
    )]
    Sequences {
        /// A file.
        first: String,
        /// How many sequences it has.
        of_first: u64,
        /// Another file.
        file: String,
        /// How many sequences it has.
        of_other: u64,
    },
    /// What is pinned makes no sense.
    #[error("{files}: {error}")]
    Pins {
        /// The files.
        files: String,
        /// What is wrong.
        error: PinError,
    },
}
