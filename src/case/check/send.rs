//! What is sent.

use std::collections::HashSet;

use vfio_user_wire::message::DMA_MAP;
use vfio_user_wire::{Body, Field, Header, Message, Tail};

use super::value::Wanted;
use super::{Checker, Sent, similar};
use crate::case::{Argument, Diagnostic, Name, Send, Spanned, Subject, TWIN, Value};

/// What every message takes.
const COMMON: [&str; 12] = [
    "header.id",
    "header.command",
    "header.size",
    "header.type",
    "header.flags",
    "header.error",
    "no_reply",
    "payload",
    "cut",
    "fd",
    "fds",
    "times",
];
/// What bytes sent as they are take.
const RAW: [&str; 4] = ["cut", "fd", "fds", "times"];

/// A field of the header, by `header.NAME`.
pub(super) fn header_field(key: &str) -> Option<&'static Field> {
    key.strip_prefix("header.").and_then(|name| Header::LAYOUT.field(name))
}

impl<'a> Checker<'a> {
    pub(super) fn send(&mut self, send: &'a Send, span: crate::case::Span) {
        let message = self.subject(&send.subject, span);
        self.sends(send.end.as_ref(), span);
        if send.end.as_ref().is_some_and(|end| end.as_str() == TWIN) && !matches!(send.subject, Subject::Raw(_)) {
            let error = Diagnostic::new(span, "a client sends no commands on the twin socket", "expected `raw BYTES`");
            self.push(error);
        }
        self.times =
            send.arguments.iter().any(|argument| matches!(argument.key.as_str(), "times" | "writes" | "entries"));
        self.once_each(&send.arguments);
        let payload = message.map(|message| beginning(message, &send.arguments)).unwrap_or_default();
        let request = message.map(|message| message.request_of(&payload));
        for argument in &send.arguments {
            if let Some(wanted) = self.wanted(&argument.key, &send.subject, message, request) {
                self.value(&argument.key, &argument.value, wanted);
            }
        }
        self.times = false;
        let end = send.end.as_ref().map(|end| end.as_str());
        let no_reply = send.arguments.iter().any(|argument| argument.key.as_str() == "no_reply");
        let index = self.sent.len();
        let reply = message.map(|message| message.reply_of(&payload));
        self.sent.push(Sent { end, message, reply, no_reply, asked: false });
        self.pending.entry(end).or_default().push_back(index);
        if let Some(label) = &send.label {
            self.declare_label(label, index);
        }
    }

    /// Whether `>+` has something to join.
    pub(super) fn joined(&mut self, send: &'a Send, before: Option<Option<&'a str>>, span: crate::case::Span) {
        let end = send.end.as_ref().map(|end| end.as_str());
        self.before = Some(end);
        if !send.joined {
            return;
        }
        match before {
            None => self.push(Diagnostic::new(span, "`>+` joins the message before it", "the line before sends none")),
            Some(before) if before != end => {
                self.push(Diagnostic::new(
                    span,
                    "`>+` joins a message of the same end",
                    "that one goes out on another",
                ));
            }
            Some(_) => {}
        }
        let mut attached = send.arguments.iter().filter(|argument| matches!(argument.key.as_str(), "fd" | "fds"));
        if let Some(argument) = attached.next() {
            let error =
                Diagnostic::new(argument.key.span, "a message with descriptors cannot join another", "attached here");
            self.push(error.help("descriptors go with the first byte of a write: let the other message join this one"));
        }
    }

    fn subject(&mut self, subject: &'a Subject, span: crate::case::Span) -> Option<&'static Message> {
        match subject {
            Subject::Message(name) => self.command(name),
            Subject::Number(number) => {
                self.between(number, span, 0, i128::from(u16::MAX));
                let number = number.evaluate(&|_| None).ok()?;
                self.context.dialect.message(u16::try_from(number).ok()?)
            }
            Subject::Raw(bytes) => {
                self.bytes(bytes, span);
                None
            }
            Subject::Sample => {
                self.sampled = true;
                if !self.case.every_command {
                    let error = Diagnostic::new(span, "`{command}` is the command of a sample", "this case has none");
                    self.push(error.help("write `for every command` in the head of the case"));
                }
                None
            }
        }
    }

    /// The command of that name.
    pub(super) fn command(&mut self, name: &Name) -> Option<&'static Message> {
        let found = self.context.dialect.command(name);
        if found.is_none() {
            let names = self.context.dialect.commands.iter().map(|(_, message)| message.name);
            let message = format!("unknown command `{}`", **name);
            let label = format!("no command of {}", self.context.dialect.name);
            let error = Diagnostic::new(name.span, message, label).suggest(similar(name, names));
            self.push(error);
        }
        found.map(|(_, message)| message)
    }

    /// An error for every key that stands again, where it is not one of several writes.
    pub(super) fn once_each(&mut self, arguments: &[Argument]) {
        let mut seen = HashSet::new();
        for argument in arguments.iter().filter(|argument| !["write", "entry"].contains(&argument.key.as_str())) {
            let key = match argument.key.as_str() {
                "fds" => "fd",
                "ranges" => "data",
                key => key,
            };
            if !seen.insert(key) {
                let message = format!("`{}` is said twice", *argument.key);
                self.push(Diagnostic::new(argument.key.span, message, "said before"));
            }
        }
    }

    /// What `key` takes; an error where the subject does not have it.
    fn wanted(
        &mut self,
        key: &Spanned<String>,
        subject: &Subject,
        message: Option<&'static Message>,
        request: Option<Body>,
    ) -> Option<Wanted> {
        let raw = matches!(subject, Subject::Raw(_));
        let layout = request.and_then(|request| request.fixed);
        if let Some(field) = layout.and_then(|layout| layout.field(key)) {
            return Some(Wanted::Field(field));
        }
        let common = if raw { &RAW[..] } else { &COMMON[..] };
        if common.contains(&key.as_str()) {
            return common_wanted(key);
        }
        let tail = request.map(|request| request.tail);
        // A command of which only the number is known takes bytes behind its header, and one that other flags make longer
        // takes bytes behind its shorter form.
        let shorter = message.zip(request).is_some_and(|(message, request)| {
            message.variants.iter().any(|variant| variant.request.fixed_size() > request.fixed_size())
        });
        let data = tail.is_some_and(|tail| tail != Tail::None) || shorter || matches!(subject, Subject::Number(_));
        let lends = message.is_some_and(|message| message.name == DMA_MAP.name);
        match key.as_str() {
            "data" if data => return Some(Wanted::Bytes),
            "json" if tail == Some(Tail::Json) => return Some(Wanted::Json),
            "write" if tail == Some(Tail::Writes) => return Some(Wanted::Write),
            "writes" if tail == Some(Tail::Writes) => return Some(Wanted::Integer(1, 1 << 20)),
            "entry" if tail == Some(Tail::Entries) => return Some(Wanted::Bytes),
            "entries" if tail == Some(Tail::Entries) => return Some(Wanted::Integer(1, 1 << 20)),
            "ranges" if tail == Some(Tail::Ranges) => return Some(Wanted::Ranges),
            "memory" if lends && tail == Some(Tail::Entries) => return Some(Wanted::Memory(usize::MAX)),
            "memory" if lends => return Some(Wanted::Memory(1)),
            _ => {}
        }
        let of = match (subject, message) {
            // The unknown command was reported.
            (Subject::Message(_), None) => return None,
            (_, Some(message)) => message.name.to_owned(),
            (Subject::Raw(_), _) => "raw bytes".to_owned(),
            (Subject::Sample, _) => "`{command}`".to_owned(),
            _ => "a command known by its number alone".to_owned(),
        };
        let fields = layout.map_or(&[][..], |layout| layout.fields).iter().map(|field| field.name);
        let (writes, entries) = (tail == Some(Tail::Writes), tail == Some(Tail::Entries));
        let more = [
            ("data", data),
            ("json", tail == Some(Tail::Json)),
            ("write", writes),
            ("writes", writes),
            ("entry", entries),
            ("entries", entries),
            ("ranges", tail == Some(Tail::Ranges)),
            ("memory", lends),
        ];
        let more = more.into_iter().filter(|(_, there)| *there).map(|(name, _)| name);
        let suggestion = similar(key, fields.chain(common.iter().copied()).chain(more));
        let error = Diagnostic::new(key.span, format!("{of} has no `{}`", **key), "unknown here").suggest(suggestion);
        self.push(error);
        None
    }
}

/// How the payload begins, as far as it is written there: enough to know what follows the fixed part of DEVICE_FEATURE.
fn beginning(message: &Message, arguments: &[Argument]) -> Vec<u8> {
    let mut payload = vec![0; message.request.fixed_size()];
    for argument in arguments {
        let field = message.request.fixed.and_then(|layout| layout.field(&argument.key));
        let value = field.and_then(|field| match &argument.value.value {
            Value::Words(words) => field.named(words.iter().map(|word| word.as_str())).ok(),
            Value::Integer(value) => value.evaluate(&|_| None).ok().and_then(|value| u64::try_from(value).ok()),
            _ => None,
        });
        if let (Some(field), Some(value)) = (field, value) {
            field.write(&mut payload, value);
        }
    }
    payload
}

fn common_wanted(key: &str) -> Option<Wanted> {
    match key {
        "header.type" => Some(Wanted::Integer(0, 15)),
        "no_reply" => Some(Wanted::Flag),
        "payload" => Some(Wanted::Size),
        "cut" => Some(Wanted::Cut),
        "fd" => Some(Wanted::Descriptors(1)),
        "fds" => Some(Wanted::Descriptors(usize::MAX)),
        "times" => Some(Wanted::Integer(1, i128::from(u32::MAX))),
        header => header_field(header).map(Wanted::Field),
    }
}
