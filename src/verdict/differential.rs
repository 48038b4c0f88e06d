//! Two servers, and where they part.

use serde::{Deserialize, Serialize};

use super::{Class, Finding};
use crate::session::Entry;
use crate::target::Discovered;

/// Two servers that were told the same: A is the target of the run, B the one that it is compared with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Differential {
    /// How B is reached, for people.
    pub against: String,
    /// What the probe found of B.
    pub discovered: Discovered,
    /// What they offer differently, as sentences: only what both have was compared.
    pub offers: Vec<String>,
    /// How many sequences were played against both.
    pub sequences: u64,
    /// How many messages they sent to each.
    pub steps: u64,
    /// How many of them both answered.
    #[serde(default)]
    pub answered: u64,
    /// In how many of them the servers part.
    pub parted: u64,
    /// In how many both break something, and answer alike.
    pub alike: u64,
    /// How many answers differ for what was offered differently, and for nothing else.
    pub by_offer: u64,
    /// How many divergences rest on a deadline alone, and did not come back.
    pub unsure: u64,
    /// Where they part, each cause once.
    pub divergences: Vec<Divergence>,
}

/// A place at which two servers part: the first one of a sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// The command at which they part, or in words what was looked at.
    pub command: String,
    /// What differs, where it is not the kind of answer: a field, descriptors, or what the model says of the answers.
    pub differs: Option<String>,
    /// The step of the case file, from 1; 0 for what shows after the last one.
    pub step: usize,
    /// The messages before it, as A was sent and answered them.
    pub before: Vec<Entry>,
    /// What was sent, where it is about an answer.
    pub sent: Option<Entry>,
    /// What A did.
    pub a: Side,
    /// What B did.
    pub b: Side,
    /// How many sequences part here in this way.
    pub sequences: u64,
    /// In how many of how many plays of the case file it was seen, where not in all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen: Option<(usize, usize)>,
    /// The case file.
    pub file: String,
}

/// What one of the servers did where they part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// The kind of answer; `None` where it is not about one.
    pub answered: Option<Answered>,
    /// What came, for people.
    pub said: String,
    /// The reply.
    pub reply: Option<Entry>,
    /// What the model says of it; nothing means that it conforms.
    pub findings: Vec<Finding>,
    /// The command that plays the case file against this server alone.
    pub replay: String,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answered {
    /// A successful reply.
    Success,
    /// An error reply, with its number.
    Error(u32),
    /// The connection was closed.
    Closed,
    /// No session could be had to send it in.
    NoSession,
    /// The server crashed.
    Crashed,
    /// Bytes that are no message.
    Garbage,
    /// Nothing came in time.
    Silence,
}

impl Answered {
    /// Whether two answers are of one kind: which number an error has is no difference.
    pub fn is_like(self, other: Answered) -> bool {
        self == other || matches!((self, other), (Answered::Error(_), Answered::Error(_)))
    }

    /// What the server does, as a verb.
    pub fn verb(self) -> &'static str {
        match self {
            Answered::Success => "succeeds",
            Answered::Error(_) => "refuses",
            Answered::Closed => "closes the connection",
            Answered::NoSession => "takes no further client",
            Answered::Crashed => "crashes",
            Answered::Garbage => "answers with bytes that are no message",
            Answered::Silence => "is silent",
        }
    }
}

impl Side {
    /// The worst that the model says; `None` where it conforms.
    pub fn class(&self) -> Option<Class> {
        self.findings.iter().map(|finding| finding.class).max()
    }
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let command = &self.command;
        match (&self.differs, self.a.answered, self.b.answered) {
            (Some(what), Some(a), _) => write!(f, "{command}: both {}, with another {what}", plural(a.verb())),
            (_, Some(a), Some(b)) => write!(f, "{command}: A {}, B {}", a.verb(), b.verb()),
            _ => write!(f, "{command}: A and B leave different things behind"),
        }
    }
}

/// `succeeds` as two do it.
fn plural(verb: &str) -> String {
    let (first, rest) = verb.split_once(' ').map_or((verb, String::new()), |(first, rest)| (first, format!(" {rest}")));
    let stem = match first {
        "is" => "are",
        "refuses" => "refuse",
        "closes" => "close",
        "crashes" => "crash",
        other => other.trim_end_matches('s'),
    };
    format!("{stem}{rest}")
}

impl Divergence {
    /// The worst that the model says of either side; `None` where both conform.
    pub fn class(&self) -> Option<Class> {
        self.a.class().max(self.b.class())
    }

    /// The model permits both.
    pub fn is_permitted(&self) -> bool {
        self.class() != Some(Class::Violation)
    }
}

impl Differential {
    /// The worst that the model says of a divergence.
    pub fn class(&self) -> Option<Class> {
        self.divergences.iter().filter_map(Divergence::class).max()
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::verdict::Evidence;
    use crate::verdict::samples::found;

    fn side(answered: Option<Answered>, classes: &[Class]) -> Side {
        Side {
            answered,
            said: String::new(),
            reply: None,
            findings: classes.iter().map(|class| found("RESET-01", *class, Evidence::Received)).collect(),
            replay: String::new(),
        }
    }

    fn parted(a: Side, b: Side, differs: Option<&str>) -> Divergence {
        Divergence {
            command: "DEVICE_RESET".to_owned(),
            differs: differs.map(str::to_owned),
            step: 1,
            before: Vec::new(),
            sent: None,
            a,
            b,
            sequences: 1,
            seen: None,
            file: String::new(),
        }
    }

    fn answers(a: Answered, b: Answered) -> Divergence {
        parted(side(Some(a), &[]), side(Some(b), &[]), None)
    }

    #[test]
    fn errors_are_alike_whatever_their_number() {
        assert!(Answered::Error(22).is_like(Answered::Error(5)));
        assert!(Answered::Closed.is_like(Answered::Closed));
        assert!(!Answered::Error(0).is_like(Answered::Success));
        assert!(!Answered::Silence.is_like(Answered::Error(22)));
    }

    #[test]
    fn a_divergence_says_what_each_does() {
        use Answered::{Closed, Crashed, Error, Garbage, NoSession, Silence, Success};
        assert_eq!(answers(Success, Error(22)).to_string(), "DEVICE_RESET: A succeeds, B refuses");
        assert_eq!(answers(Closed, Silence).to_string(), "DEVICE_RESET: A closes the connection, B is silent");
        assert_eq!(answers(Crashed, NoSession).to_string(), "DEVICE_RESET: A crashes, B takes no further client");
        let both = |answered| parted(side(Some(answered), &[]), side(Some(answered), &[]), Some("argsz")).to_string();
        assert_eq!(both(Success), "DEVICE_RESET: both succeed, with another argsz");
        assert_eq!(both(Error(22)), "DEVICE_RESET: both refuse, with another argsz");
        assert_eq!(both(Closed), "DEVICE_RESET: both close the connection, with another argsz");
        assert_eq!(both(Crashed), "DEVICE_RESET: both crash, with another argsz");
        assert_eq!(both(Silence), "DEVICE_RESET: both are silent, with another argsz");
        let garbage = "DEVICE_RESET: both answer with bytes that are no message, with another argsz";
        assert_eq!(both(Garbage), garbage);
        let left = parted(side(None, &[]), side(None, &[]), Some("memory"));
        assert_eq!(left.to_string(), "DEVICE_RESET: A and B leave different things behind");
    }

    #[test]
    fn the_worst_of_both_sides_counts() {
        use Class::{Note, Violation};
        let of = |a: &[Class], b: &[Class]| parted(side(None, a), side(None, b), None);
        assert_eq!(of(&[], &[]).class(), None);
        assert!(of(&[], &[]).is_permitted());
        assert_eq!(of(&[Note], &[]).class(), Some(Note));
        assert!(of(&[Note], &[Note]).is_permitted());
        assert_eq!(of(&[Note, Violation], &[Note]).class(), Some(Violation));
        assert!(!of(&[], &[Violation, Note]).is_permitted());
        let divergences = vec![of(&[Note], &[]), of(&[], &[Violation]), of(&[], &[])];
        assert_eq!(Differential { divergences, ..Differential::default() }.class(), Some(Violation));
        assert_eq!(Differential::default().class(), None);
    }
}
