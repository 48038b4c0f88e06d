//! Clients that go away, and the ones that come after them.

use crate::case::{Given, StepKind};

use super::draw::{Answers, Draft, Edge};
use super::message::{step, word};
use super::weights;

/// How a client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Leave {
    /// After all answers.
    Idle,
    /// With answers that nobody reads.
    Unread,
    /// In the middle of a message.
    Half,
    /// After a message that makes no sense.
    Lie,
}

impl Draft<'_> {
    /// The client goes; another one comes, where the target takes it.
    pub(super) fn leave(&mut self) {
        let Some(leave) = self.dice.row(weights::LEAVE) else { return };
        match leave {
            Leave::Idle => {}
            Leave::Unread => {
                let count = self.dice.range(1, 4);
                let messages = (0..count).map(|_| self.message(false)).collect();
                self.send(messages, Answers::Unread);
            }
            Leave::Half => {
                // The rest of it never comes: the header says more than is there.
                let whole = match self.dice.range(0, 3) {
                    0 => self.map(),
                    1 => self.irqs(),
                    2 => self.read(),
                    _ => self.query(),
                };
                let message = whole.integer("payload", self.dice.one([0, 4, 8]));
                let size = self.dice.one([4096, 48, 32]);
                self.send(vec![message.integer("header.size", size)], Answers::Unread);
            }
            Leave::Lie => {
                let message = self.lie();
                // Of some it can be said what may be answered.
                let told = message.get("header.size").is_some_and(|size| size < 16);
                self.send(vec![message], if told { Answers::InOrder } else { Answers::Unread });
            }
        }
        self.edges.push(Edge::Leave(leave));
        self.push(step(StepKind::Close(self.shadow.client.as_deref().map(word))));
        self.shadow.leave();
        if !self.dice.chance(50) {
            self.looks();
        }
        if self.offer.reconnect && self.sent < self.goal {
            self.needs.insert("reconnect");
            let name = self.client_name();
            self.push(step(StepKind::Client(word(&name), Given::Negotiated)));
            self.shadow.client = Some(name);
            self.shadow.left = false;
        }
    }

    /// `b`, `c`, ..
    fn client_name(&mut self) -> String {
        self.shadow.clients += 1;
        let letter = u8::try_from(self.shadow.clients).ok().and_then(|number| b'a'.checked_add(number));
        match letter.filter(u8::is_ascii_lowercase) {
            Some(letter) => char::from(letter).to_string(),
            None => format!("client{}", self.shadow.clients),
        }
    }
}
