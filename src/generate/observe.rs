//! Looks at what descriptors and memfds show.

use crate::case::{Expect, FdExpectation, SealExpectation, StepKind};

use super::draw::{Draft, Edge};
use super::message::{step, word};

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Look {
    /// The signals of a descriptor.
    Fd,
    /// Whether a socket was closed, too.
    Socket,
    /// Whether a memfd is still mapped.
    Seal,
}

impl Draft<'_> {
    /// `< fd NAME conforms`.
    pub(super) fn look(&mut self) {
        let given = self.shadow.watched.iter().filter(|watched| watched.given && !watched.spent);
        let names: Vec<String> = given.map(|watched| watched.name.clone()).collect();
        if let Some(name) = self.dice.pick(&names) {
            self.look_at(&name);
        }
    }

    fn look_at(&mut self, name: &str) {
        let Some(watched) = self.shadow.watched.iter_mut().find(|watched| watched.name == name) else { return };
        // To see the server's closing, the client closes its own copy.
        watched.spent |= watched.socket;
        self.edges.push(Edge::Look(if watched.socket { Look::Socket } else { Look::Fd }));
        self.push(step(StepKind::Expect(Expect::Fd(word(name), FdExpectation::Conforms))));
    }

    /// `< seal NAME conforms`, of a memfd of which nothing is mapped any more; the last use of it.
    pub(super) fn seal(&mut self) {
        let mapped = |name: &str| self.shadow.maps.iter().any(|map| map.memory.as_deref() == Some(name));
        let free = self.shadow.memories.iter().filter(|memory| memory.lent && !memory.sealed && !mapped(&memory.name));
        let names: Vec<String> = free.map(|memory| memory.name.clone()).collect();
        let Some(name) = self.dice.pick(&names) else { return };
        for memory in self.shadow.memories.iter_mut().filter(|memory| memory.name == name) {
            memory.sealed = true;
        }
        self.edges.push(Edge::Look(Look::Seal));
        self.push(step(StepKind::Expect(Expect::Seal(word(&name), SealExpectation::Conforms))));
    }

    /// A look at everything.
    pub(super) fn looks(&mut self) {
        let given = self.shadow.watched.iter().filter(|watched| watched.given && !watched.spent);
        let names: Vec<String> = given.map(|watched| watched.name.clone()).collect();
        names.iter().for_each(|name| self.look_at(name));
        for _ in 0..self.shadow.memories.len() {
            self.seal();
        }
    }
}
