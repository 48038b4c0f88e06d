//! What is done to a message whatever it says: its pieces, its length, its header, the descriptors with it.

use crate::case::{Bytes, Descriptor, Value};

use super::draw::{Draft, Edge};
use super::message::{Message, integer};
use super::weights;

/// What is done to a message besides. The stream of messages stays in step with all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Shape {
    None,
    /// In pieces.
    Cut,
    /// The message ID of another message.
    SameId,
    /// A message ID that a counter would not give.
    GivenId,
    /// Fewer bytes of payload.
    Short,
    /// More of them.
    Long,
    /// A header and nothing else.
    Empty,
    /// A descriptor that nobody asked for.
    StrayFd,
    /// As many descriptors as the server takes in one message.
    MostFds,
    /// One more, or many more.
    TooManyFds,
    /// A reply.
    TypeReply,
    /// A type that is neither.
    TypeUnknown,
}

/// The last message of a client: nobody can say where it ends, or its header is none of a command's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Lie {
    /// A size below that of a header.
    SizeSmall,
    /// A size that leaves some bytes over.
    SizeBelowPayload,
    /// A size that more bytes were needed for.
    SizeAbovePayload,
    /// A size near 2^32.
    SizeHuge,
    /// Bits without a meaning.
    Flags,
    /// An errno in a command.
    Error,
    /// Bytes that are no message.
    Noise,
}

impl Draft<'_> {
    /// `message`, mostly as it is.
    pub(super) fn shape(&mut self, message: Message) -> Message {
        let Some(shape) = self.dice.row(weights::SHAPE) else { return message };
        // Bytes that are missing or too many must not make a server write where nothing may be written.
        let writes = message.is("REGION_WRITE") || message.is("REGION_WRITE_MULTI");
        let shaped = match shape {
            Shape::None => None,
            Shape::Cut => {
                let cuts = self.dice.one([&[8][..], &[16], &[15], &[1, 17], &[1], &[20]]);
                let cuts = cuts.iter().map(|cut| integer(*cut)).collect();
                Some(message.clone().with("cut", Value::Integers(cuts)))
            }
            Shape::SameId | Shape::GivenId => {
                let known = self.dice.pick(&self.shadow.ids);
                let id = match (shape, known) {
                    (Shape::SameId, Some(id)) => Some(id),
                    (Shape::SameId, None) => None,
                    _ => Some(self.dice.one([0, 7, 0x100, 0xfffe, 0xffff])),
                };
                id.map(|id| {
                    self.shadow.ids.push(id);
                    message.clone().hex("header.id", id)
                })
            }
            Shape::Short if !writes => {
                let less = self.dice.one([1, 4, 8]);
                self.unsettle(&message);
                Some(message.clone().with("payload", Value::Minus(integer(less))))
                    .filter(|message| self.takes(message, less))
            }
            Shape::Long if !writes => {
                let more = self.dice.one([1, 4, 8, 16, 4096]);
                self.unsettle(&message);
                Some(message.clone().with("payload", Value::Plus(integer(more))))
            }
            Shape::Empty if !writes => {
                self.unsettle(&message);
                Some(message.clone().integer("payload", 0)).filter(|message| self.takes(message, 1))
            }
            Shape::Short | Shape::Long | Shape::Empty => None,
            Shape::TypeReply | Shape::TypeUnknown if writes || message.has_fds() => None,
            Shape::TypeReply | Shape::TypeUnknown => {
                self.unsettle(&message);
                let kind = if shape == Shape::TypeReply { 1 } else { self.dice.one([2, 15]) };
                Some(message.clone().integer("header.type", kind))
            }
            Shape::StrayFd | Shape::MostFds | Shape::TooManyFds if message.has_fds() || message.is("DMA_MAP") => None,
            Shape::StrayFd | Shape::MostFds | Shape::TooManyFds => {
                let most = self.offer.limits.max_msg_fds;
                let count = match shape {
                    Shape::StrayFd => 1,
                    Shape::MostFds => most,
                    _ => self.dice.one([most.saturating_add(1), 64, 253]).max(most.saturating_add(1)),
                };
                // The kernel takes 253 descriptors in one message.
                (1..=253).contains(&count).then(|| {
                    let name = self.spare();
                    message.clone().fds(&vec![name; count as usize])
                })
            }
        };
        let Some(shaped) = shaped else { return message };
        self.edges.push(Edge::Shape(shape));
        shaped
    }

    /// What a malformed DMA command did, nobody can say.
    fn unsettle(&mut self, message: &Message) {
        if message.is("DMA_MAP") || message.is("DMA_UNMAP") {
            self.shadow.unsettle();
        }
    }

    /// The last message of a client.
    pub(super) fn lie(&mut self) -> Message {
        let lie = self.dice.row(weights::LIE).unwrap_or(Lie::Noise);
        self.edges.push(Edge::Lie(lie));
        let page = self.offer.page;
        let message = match self.dice.range(0, 3) {
            0 => Message::command("info", "DEVICE_GET_INFO"),
            1 => Message::command("region-info", "DEVICE_GET_REGION_INFO").integer("index", 0),
            2 => Message::command("read", "REGION_READ").integer("region", 0).hex("offset", 0).integer("count", 4),
            _ => Message::command("map", "DMA_MAP").hex("address", 16 * page).hex("size", page),
        };
        match lie {
            Lie::SizeSmall => message.integer("header.size", self.dice.one([0, 1, 8, 15])),
            Lie::SizeBelowPayload => message.integer("header.size", self.dice.one([16, 20, 31])),
            Lie::SizeAbovePayload => message.integer("header.size", self.dice.one([64, 100, 4096])),
            Lie::SizeHuge => message.hex("header.size", self.dice.one([0x7fff_ffff, 0x8000_0000, 0xffff_ffff])),
            Lie::Flags => message.hex("header.flags", self.dice.one([0x40, 0x8000_0000, 0xffff_ffc0])),
            Lie::Error => message.hex("header.flags", 0x20).integer("header.error", self.dice.one([1, 22])),
            Lie::Noise => {
                let length = self.dice.one([1, 15, 16, 64, 1000]);
                Message::raw(Bytes::Pattern(integer(self.dice.one([1, 3, 7])), integer(length)))
            }
        }
    }

    /// A descriptor of no use to anybody.
    pub(super) fn spare(&mut self) -> String {
        if let Some(name) = &self.spare {
            return name.clone();
        }
        let name = self.shadow.name("spare", 1);
        self.make(&name, Descriptor::Null);
        self.spare = Some(name.clone());
        name
    }

    /// A descriptor of the wrong kind, wherever memory or an eventfd is wanted.
    pub(super) fn wrong_descriptor(&mut self) -> String {
        let (base, wrong) = match self.dice.range(0, 3) {
            0 => return self.spare(),
            1 => ("directory", Descriptor::Directory),
            2 => ("pipe", Descriptor::Pipe),
            _ => ("broken", Descriptor::PipeClosed),
        };
        let name = self.shadow.name(base, 1);
        self.make(&name, wrong);
        name
    }

    /// The message has at least so many bytes of payload.
    fn takes(&self, message: &Message, bytes: u64) -> bool {
        const FIXED: &[&str] = &[
            "DMA_MAP",
            "DMA_UNMAP",
            "DEVICE_GET_INFO",
            "DEVICE_GET_REGION_INFO",
            "DEVICE_GET_IRQ_INFO",
            "DEVICE_SET_IRQS",
            "REGION_READ",
            "VERSION",
        ];
        let name = FIXED.iter().find(|name| message.is(name));
        let known = name.and_then(|name| self.offer.profile.dialect().command(name));
        known.is_some_and(|(_, known)| known.request.fixed_size() as u64 >= bytes)
    }
}
