//! A sequence, drawn turn by turn.

use std::collections::BTreeSet;

use proptest::strategy::{Just, Strategy};

use crate::Profile;
use crate::case::{Case, Descriptor, Given, Spanned, Step, StepKind};

use super::Offer;
use super::device::{Act, conforms};
use super::dice::Dice;
use super::dirty_pages::DirtyPages;
use super::dma_map::Map;
use super::dma_unmap::Unmap;
use super::features::Feature;
use super::irqs::Irqs;
use super::labels;
use super::leave::Leave;
use super::log::Log;
use super::malformed::{Lie, Shape};
use super::message::{Message, spanned, step, word};
use super::migration::Migrate;
use super::migration_region::Register;
use super::observe::Look;
use super::opening::Opening;
use super::queries::Query;
use super::regions::{Read, Write};
use super::shadow::Shadow;
use super::tables::Entries;
use super::weights::{self, Family, Row, Turn};
use super::write_multi::Multi;

/// No sequence sends more messages than this.
pub const MOST_SENDS: usize = 50;

/// The sequence of that number for a seed: it depends on nothing else but the offer, and on no reply.
///
/// Each command that wants a reply is followed by a `< conforms` line, at the latest behind its pipeline, unless the client
/// leaves without reading it.
pub fn draw(offer: &Offer, seed: u64, number: u64) -> Case {
    Draft::new(offer, seed, number).finished().0
}

/// What was drawn: the tests count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Edge {
    Map(Map),
    Unmap(Unmap),
    Mapped(Entries),
    Unmapped(Entries),
    Irqs(Irqs),
    Read(Read),
    Write(Write),
    Multi(Multi),
    Query(Query),
    Feature(Feature),
    Log(Log),
    DirtyPages(DirtyPages),
    Register(Register),
    Migrate(Migrate),
    Shape(Shape),
    Lie(Lie),
    Leave(Leave),
    Act(Act),
    Look(Look),
    Opening(Opening),
    Carry,
    Twin,
    ReadOnly,
    NoReply,
    Joined,
    Shuffled,
}

/// When the answers to some messages are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// After the last of them, in their order.
    InOrder,
    /// In another order, by labels.
    Shuffled,
    /// Never.
    Unread,
}

/// A sequence on its way.
pub(super) struct Draft<'a> {
    pub(super) offer: &'a Offer,
    pub(super) dice: Dice,
    pub(super) shadow: Shadow,
    /// Words of `needs`.
    pub(super) needs: BTreeSet<&'static str>,
    /// What was drawn so far.
    pub(super) edges: Vec<Edge>,
    /// How many messages were sent.
    pub(super) sent: usize,
    /// How many are to be sent.
    pub(super) goal: usize,
    /// The descriptor of no use.
    pub(super) spare: Option<String>,
    /// The families of commands that it draws from: not all of them in each sequence.
    families: Vec<Row<Family>>,
    name: String,
    steps: Vec<Step>,
    /// Labels that only a later look at the answer would need.
    optional: BTreeSet<String>,
    bytes: u64,
}

impl<'a> Draft<'a> {
    pub(super) fn new(offer: &'a Offer, seed: u64, number: u64) -> Draft<'a> {
        let mut dice = Dice::new(seed, number);
        let (least, most) = dice.row(weights::LENGTH).unwrap_or((5, 25));
        let goal = dice.range(least, most) as usize;
        if let Some(mood) = dice.row(weights::MOOD) {
            dice.mood = mood;
        }
        let all = if offer.dma_table { weights::FAMILY } else { weights::FAMILY_WITHOUT_TABLE };
        let there = |row: &&Row<Family>| match row.2 {
            Family::Log => offer.dma_logging,
            Family::Feature => offer.features,
            Family::DirtyPages => offer.dirty_pages,
            Family::Register => offer.migration_region.is_some(),
            Family::WriteMulti => offer.profile == Profile::V0_9_2,
            _ => true,
        };
        let all: Vec<Row<Family>> = all.iter().filter(there).copied().collect();
        let mut families: Vec<Row<Family>> =
            all.iter().filter(|_| dice.chance(weights::FAMILY_KEPT)).copied().collect();
        // A device that is stopped does little: most sequences leave it running.
        if offer.migration && dice.chance(weights::MIGRATES) {
            families.push(if dice.chance(weights::MOSTLY_MIGRATES) {
                weights::MOSTLY_MIGRATION
            } else {
                weights::MIGRATION
            });
        }
        dice.odd = dice.range(0, u64::MAX);
        Draft {
            offer,
            dice,
            shadow: Shadow::default(),
            needs: BTreeSet::new(),
            edges: Vec::new(),
            sent: 0,
            goal: goal.min(MOST_SENDS),
            families: if families.is_empty() { all } else { families },
            spare: None,
            name: format!("generated.{seed}-{number}"),
            steps: Vec::new(),
            optional: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// The sequence, and what was drawn for it.
    pub(super) fn finished(mut self) -> (Case, Vec<Edge>) {
        let opens = self.dice.chance(weights::OPENS);
        if opens {
            self.open();
        }
        // A turn that finds nothing to do sends nothing.
        for _ in 0..4 * MOST_SENDS {
            if self.sent >= self.goal || self.shadow.left {
                break;
            }
            self.turn();
        }
        if self.dice.chance(weights::LAST_LOOK) {
            if !self.shadow.left && self.dice.chance(30) {
                self.push(step(StepKind::Close(self.shadow.client.as_deref().map(word))));
                self.shadow.leave();
            }
            self.looks();
        }
        labels::tidy(&mut self.steps, &self.optional);
        let given = match opens {
            true => Given::Connected,
            false if self.acts() && self.offer.twin_socket && self.dice.chance(weights::TWIN) => Given::Twin,
            false => Given::Negotiated,
        };
        if given == Given::Twin {
            self.needs.insert("twin-socket");
            self.edges.push(Edge::Twin);
        }
        let case = Case {
            comments: Vec::new(),
            name: word(&self.name),
            needs: self.needs.iter().map(|need| word(need)).collect(),
            given,
            with: Vec::new(),
            every_command: false,
            every_channel: false,
            profiles: self.profiles(),
            steps: self.steps,
            trailing: Vec::new(),
        };
        (case, self.edges)
    }

    /// The version that it is for, where it has what the current one does not.
    fn profiles(&self) -> Vec<Spanned<Profile>> {
        Some(self.offer.profile).filter(|profile| *profile != Profile::V0_9_2).map(spanned).into_iter().collect()
    }

    /// The device is made to reach memory, which may take commands of the server's own.
    fn acts(&self) -> bool {
        self.needs.contains("device-dma") || self.needs.contains("device-dma-read")
    }

    fn turn(&mut self) {
        if self.families.iter().any(|row| row.2 == Family::Migration) && self.dice.chance(weights::CARRIED) {
            return self.carry();
        }
        let turn = self.dice.row(weights::TURN).unwrap_or(Turn::Single);
        match turn {
            Turn::Single => {
                let message = self.message(false);
                self.send(vec![message], Answers::InOrder);
                self.ask_state();
            }
            Turn::Pipeline => self.pipeline(),
            Turn::ReadOnly if self.sent + 2 <= self.goal => self.write_read_only(),
            Turn::ReadOnly => {}
            Turn::Device => self.device(),
            Turn::Look => self.look(),
            Turn::Seal => self.seal(),
            // A client that did nothing shows nothing; without another one after it, it would be the end.
            Turn::Leave if self.sent > 0 && (self.offer.reconnect || self.sent + 3 >= self.goal) => self.leave(),
            Turn::Leave => {}
        }
    }

    fn pipeline(&mut self) {
        let (least, most) = self.dice.row(weights::PIPELINE).unwrap_or((2, 3));
        let length = self.dice.range(least, most).min((self.goal - self.sent) as u64);
        let messages: Vec<Message> = (1..=length).map(|at| self.message(at < length)).collect();
        let shuffled = length > 1 && self.dice.chance(weights::SHUFFLED);
        self.send(messages, if shuffled { Answers::Shuffled } else { Answers::InOrder });
    }

    /// A command of any kind; it may ask for no reply where that is said.
    pub(super) fn message(&mut self, quiet: bool) -> Message {
        let message = match self.dice.row(&self.families).unwrap_or(Family::Query) {
            Family::Map => self.map(),
            Family::Unmap => self.unmap(),
            Family::Irqs => self.irqs(),
            Family::Read => self.read(),
            Family::WriteMulti if self.offer.write_multiple || self.dice.chance(weights::NOT_OFFERED) => {
                self.write_multi()
            }
            Family::Write | Family::WriteMulti => self.write(),
            Family::Query => self.query(),
            Family::Feature => self.feature(),
            Family::Log => self.log(),
            Family::DirtyPages => self.dirty_pages(),
            Family::Register => match self.offer.migration_region {
                Some(region) => self.migration_register(region),
                None => self.query(),
            },
            Family::Migration => self.migrate(),
        };
        let message = self.shape(message);
        // Of two messages with one ID and number, nobody could say which of them a reply answers.
        if quiet && !message.has("header.id") && self.dice.chance(weights::NO_REPLY) {
            self.edges.push(Edge::NoReply);
            return message.with("no_reply", crate::case::Value::Flag);
        }
        message
    }

    /// The lines of some messages, and of their answers.
    pub(super) fn send(&mut self, messages: Vec<Message>, answers: Answers) {
        let room = self.goal.max(self.sent + 1) - self.sent;
        let messages: Vec<Message> =
            messages.into_iter().take(room.min(MOST_SENDS - self.sent.min(MOST_SENDS))).collect();
        let client = self.shadow.client.clone();
        let mut claims: Vec<Option<String>> = Vec::new();
        for (at, message) in messages.into_iter().enumerate() {
            let wants = message.wants_reply();
            let asked = wants && answers != Answers::Unread;
            // Without a label a `<` line would ask for a message that is silent, or for one that is asked for later.
            let needs_label = asked && (self.shadow.muted || answers == Answers::Shuffled);
            let label = (needs_label || asked && message.named).then(|| self.shadow.name(message.role, 1));
            if let (false, Some(label)) = (needs_label, &label) {
                self.optional.insert(label.clone());
            }
            if message.named {
                let made = self.shadow.maps.iter_mut().rev().find(|map| {
                    map.label.is_none()
                        && Some(map.address) == message.get("address")
                        && Some(map.size) == message.get("size")
                });
                if let (Some(map), true) = (made, asked) {
                    map.label.clone_from(&label);
                }
            }
            self.shadow.muted |= !wants;
            let joined = at > 0 && !message.has_fds() && self.dice.chance(weights::JOINED);
            if joined {
                self.edges.push(Edge::Joined);
            }
            self.push(message.step(client.as_deref(), label.as_deref(), joined));
            self.sent += 1;
            if asked {
                claims.push(label);
            }
        }
        if answers == Answers::Shuffled && claims.len() > 1 {
            self.edges.push(Edge::Shuffled);
            claims = self.dice.sample(Just(claims.clone()).prop_shuffle()).unwrap_or(claims);
        }
        for label in claims {
            self.push(conforms(client.as_deref(), label.as_deref()));
        }
    }

    /// `let NAME = ..`.
    pub(super) fn make(&mut self, name: &str, descriptor: Descriptor) {
        self.push(step(StepKind::Let(word(name), descriptor)));
    }

    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// A byte from 1 to 255, another one than the last.
    pub(super) fn fresh_byte(&mut self) -> u64 {
        self.bytes += 1;
        1 + (self.bytes * 16 + self.bytes / 16) % 255
    }
}
