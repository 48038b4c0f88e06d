//! What must come back.

use vfio_user_wire::message::REGION_WRITE;
use vfio_user_wire::{Body, IoEventFd, Tail};

use super::send::header_field;
use super::value::{Wanted, length};
use super::{Checker, similar};
use crate::case::{
    Condition, ConditionValue, Descriptor, Diagnostic, Expect, Expression, FdExpectation, Name, Outcome, Outcomes,
    Pages, Relation, Span, Spanned, errno,
};

/// What stands behind the fixed part where `pages` are told.
const BITMAPS: [Tail; 3] = [Tail::Bitmap, Tail::RangeBitmap, Tail::Bitmaps];

/// Conditions on every message.
const COMMON: [&str; 10] = [
    "header.id",
    "header.command",
    "header.size",
    "header.type",
    "header.flags",
    "header.error",
    "payload",
    "fds",
    "data",
    "data.length",
];

impl<'a> Checker<'a> {
    pub(super) fn expect(&mut self, expect: &'a Expect, span: Span) {
        match expect {
            Expect::Answer { end, label, outcomes } => self.answer(end.as_ref(), label.as_ref(), outcomes, span),
            Expect::Fd(name, expectation) => self.fd(name, expectation, span),
            Expect::Memory(memory, bytes) => {
                self.memfd(&memory.name);
                self.bytes(bytes, span);
                let start = self.constant(&memory.start, span);
                let end = self.constant(&memory.end, span);
                self.range(start, end, length(bytes), span);
            }
            Expect::Seal(name, _) => self.memfd(name),
            Expect::FdsBaseline => {}
            Expect::Exited => self.need(&["spawned", "conventions", "exits"], span),
            Expect::Device(_) => self.need(&["device-status"], span),
            Expect::Same(one, two) => [one, two].into_iter().for_each(|stream| self.stream(stream)),
            Expect::SubRegion(label, conditions) => self.sub_region(label, conditions),
            Expect::Counted(count) => {
                self.need(&["counter"], span);
                self.between(count, span, 0, i128::from(u32::MAX));
            }
            Expect::Mapped(label, arguments, bytes) => {
                self.mapped(label);
                self.once_each(arguments);
                for argument in arguments {
                    let wanted = match argument.key.as_str() {
                        "offset" | "length" => Some(Wanted::Integer(0, i128::from(u64::MAX))),
                        "store" => Some(Wanted::Bytes),
                        _ => None,
                    };
                    if let Some(wanted) = wanted {
                        self.value(&argument.key, &argument.value, wanted);
                        continue;
                    }
                    let message = format!("`mapped` has no `{}`", *argument.key);
                    let error = Diagnostic::new(argument.key.span, message, "expected offset, length or store");
                    self.push(error.suggest(similar(&argument.key, ["offset", "length", "store"])));
                }
                if let Some(bytes) = bytes {
                    self.bytes(bytes, span);
                }
            }
        }
    }

    fn range(&mut self, start: Option<i128>, end: Option<i128>, bytes: Option<i128>, span: Span) {
        let Some((start, end)) = start.zip(end) else {
            return;
        };
        if start < 0 || end <= start {
            return self.push(Diagnostic::new(span, "this range is empty", "the end is exclusive"));
        }
        if let Some(bytes) = bytes.filter(|bytes| *bytes != end - start) {
            let message = format!("a range of {} bytes cannot hold {bytes}", end - start);
            self.push(Diagnostic::new(span, message, "the lengths differ"));
        }
    }

    pub(super) fn memfd(&mut self, name: &Name) {
        match self.descriptor(name) {
            None | Some(Descriptor::Memfd(_) | Descriptor::MemfdReadOnly(_)) => {}
            Some(_) => {
                self.push(Diagnostic::new(name.span, format!("`{}` is no memfd", **name), "a memfd belongs here"))
            }
        }
    }

    fn fd(&mut self, name: &Name, expectation: &FdExpectation, span: Span) {
        if let FdExpectation::Signalled(Some(count)) = expectation {
            self.between(count, span, 1, i128::from(u64::MAX));
        }
        let Some(descriptor) = self.descriptor(name) else {
            return;
        };
        let (fits, kinds) = match expectation {
            FdExpectation::Closed => {
                (matches!(descriptor, Descriptor::Socketpair | Descriptor::Pipe), "a socketpair or a pipe")
            }
            _ => {
                let signals = matches!(descriptor, Descriptor::Eventfd(_) | Descriptor::Socketpair | Descriptor::Pipe);
                (signals, "an eventfd, a socketpair or a pipe")
            }
        };
        if !fits {
            let message = format!("`{}` cannot show this", **name);
            self.push(Diagnostic::new(name.span, message, format!("only {kinds} does")));
        }
    }

    fn mapped(&mut self, label: &Name) {
        self.followed_by(label, Tail::Capabilities, "DEVICE_GET_REGION_INFO");
    }

    /// A label whose reply has this behind its fixed part.
    fn followed_by(&mut self, label: &Name, tail: Tail, wanted: &str) {
        let sent = self.label(label).and_then(|index| self.sent.get(index).copied());
        let message = sent.and_then(|sent| sent.message);
        if let Some(message) = message.filter(|message| message.reply.tail != tail) {
            let text = format!("`{}` is a {}", **label, message.name);
            self.push(Diagnostic::new(label.span, text, format!("the label of a {wanted} belongs here")));
        }
    }

    /// Conditions on a sub-region: its own fields alone.
    pub(super) fn sub_region(&mut self, label: &Name, conditions: &'a [Condition]) {
        self.followed_by(label, Tail::SubRegions, "DEVICE_GET_REGION_IO_FDS");
        for condition in conditions {
            let name = condition.field.as_str();
            if IoEventFd::LAYOUT.field(name).is_some() {
                self.condition(condition, Some(Body::fixed(&IoEventFd::LAYOUT)));
                continue;
            }
            let fields = IoEventFd::LAYOUT.fields.iter().map(|field| field.name);
            let error =
                Diagnostic::new(condition.field.span, format!("unknown field `{name}`"), "no field of a sub-region");
            self.push(error.suggest(similar(name, fields)));
        }
    }

    fn answer(&mut self, end: Option<&'a Name>, label: Option<&Name>, outcomes: &'a Outcomes, span: Span) {
        if let Some(end) = end {
            self.end(end);
        }
        let sent = match label {
            Some(label) => match self.label(label) {
                Some(index) => Some(index),
                None => return,
            },
            None => self.oldest(end, outcomes, span),
        };
        self.same_end(sent, end);
        if let Some(sent) = sent.and_then(|index| self.sent.get_mut(index)) {
            sent.asked = true;
        }
        if let (Some(index), [Spanned { value: Outcome::Silent, span }]) = (sent, &outcomes.conforms[..]) {
            self.silent.push((index, *span));
        }
        let reply = sent.and_then(|index| self.sent.get(index)).and_then(|sent| sent.reply);
        for outcome in outcomes.conforms.iter().chain(&outcomes.note) {
            match &outcome.value {
                Outcome::Ok(conditions) => conditions.iter().for_each(|condition| self.condition(condition, reply)),
                Outcome::Error(Some(errno)) => self.errno(errno),
                Outcome::Error(None) | Outcome::Closed | Outcome::Silent | Outcome::Conforms => {}
            }
        }
    }

    fn same_end(&mut self, sent: Option<usize>, end: Option<&Name>) {
        let sent = sent.and_then(|index| self.sent.get(index)).map(|sent| sent.end);
        if let (Some(sent), Some(end)) = (sent, end)
            && sent != Some(end.as_str())
        {
            let message = format!("this message was not sent on `{}`", **end);
            self.push(Diagnostic::new(
                end.span,
                message,
                sent.map_or("on the first end".to_owned(), |sent| format!("on `{sent}`")),
            ));
        }
    }

    /// The oldest message on that end that no line has asked for.
    fn oldest(&mut self, end: Option<&'a Name>, outcomes: &Outcomes, span: Span) -> Option<usize> {
        let queue = self.pending.entry(end.map(|end| end.as_str())).or_default();
        let sent = &self.sent;
        while queue.front().is_some_and(|index| sent.get(*index).is_some_and(|sent| sent.asked)) {
            queue.pop_front();
        }
        let found = queue.pop_front();
        let mut all = outcomes.conforms.iter().chain(&outcomes.note).map(|outcome| &outcome.value);
        let Some(index) = found else {
            // A server can close though nothing was sent.
            if !all.any(|outcome| matches!(outcome, Outcome::Closed)) {
                self.push(Diagnostic::new(
                    span,
                    "every message sent before was asked for",
                    "nothing is left to answer",
                ));
            }
            return None;
        };
        let answered = !all.any(|outcome| matches!(outcome, Outcome::Silent | Outcome::Closed | Outcome::Conforms));
        if answered && self.sent.get(index).is_some_and(|sent| sent.no_reply) {
            let error =
                Diagnostic::new(span, "this line asks for a message with `no_reply`", "it need not be answered");
            self.push(error.help("a line without a label asks for the oldest message: label the one that is meant"));
        }
        found
    }

    pub(super) fn errno(&mut self, name: &Name) {
        if errno(name).is_none() {
            let error = Diagnostic::new(name.span, format!("unknown errno `{}`", **name), "no errno of Linux");
            self.push(error.suggest(similar(name, crate::case::errno::names())));
        }
    }

    /// A condition on a message with this payload; `None` where that is not known.
    pub(super) fn condition(&mut self, condition: &'a Condition, body: Option<Body>) {
        // A field can have the name of the bytes behind the fields.
        let bytes = matches!(condition.value.value, ConditionValue::Bytes(_)) && condition.field.as_str() == "data";
        let body = if bytes { body.map(|body| Body { fixed: None, ..body }) } else { body };
        let Some(wanted) = self.field(&condition.field, body) else {
            return;
        };
        let (field, span) = (condition.field.as_str(), condition.value.span);
        self.idle_condition(condition, wanted);
        match (&condition.value.value, wanted) {
            (ConditionValue::Integer(Expression::Name(name)), _) => self.named(field, name, wanted),
            (ConditionValue::Integer(value), Wanted::Field(field)) => self.fits(value, span, field, false),
            (ConditionValue::Integer(value), Wanted::Integer(least, most)) => self.between(value, span, least, most),
            (ConditionValue::Words(words), Wanted::Field(field)) => self.bits(words, field),
            (ConditionValue::Bytes(bytes), Wanted::Bytes) => self.bytes(bytes, span),
            (ConditionValue::Pages(pages), Wanted::Pages) => self.pages(pages, span),
            (_, Wanted::Bytes) => self.push(Diagnostic::new(span, "`data` is compared with bytes", "expected bytes")),
            _ => self.push(Diagnostic::new(
                span,
                format!("`{field}` is compared with an integer"),
                "expected an integer",
            )),
        }
        let bits = matches!(condition.relation, Relation::Equal | Relation::Has | Relation::HasNone);
        if matches!(wanted, Wanted::Pages) && !bits {
            let span = Span { start: condition.field.span.start, end: span.end };
            self.push(Diagnostic::new(
                span,
                "pages are all (=), among others (&) or not (!&) set",
                "no other comparison",
            ));
        }
        if matches!(wanted, Wanted::Bytes) && !matches!(condition.relation, Relation::Equal | Relation::Unequal) {
            let span = Span { start: condition.field.span.start, end: span.end };
            self.push(Diagnostic::new(span, "bytes are equal (=) or not (!=)", "no other comparison"));
        }
    }

    fn pages(&mut self, pages: &[Pages], span: Span) {
        let most = i128::from(u64::MAX);
        for pages in pages {
            match pages {
                Pages::One(page) => self.between(page, span, 0, most),
                Pages::Span(first, end) => {
                    self.between(first, span, 0, most);
                    self.between(end, span, 1, most);
                    let (first, end) = (self.constant(first, span), self.constant(end, span));
                    if first.zip(end).is_some_and(|(first, end)| end <= first) {
                        self.push(Diagnostic::new(span, "this span is empty", "the end is exclusive"));
                    }
                }
                Pages::Last => {}
            }
        }
    }

    /// What a field of a message with this payload is compared with.
    fn field(&mut self, field: &Spanned<String>, body: Option<Body>) -> Option<Wanted> {
        let layout = body.and_then(|body| body.fixed);
        if let Some(field) = layout.and_then(|layout| layout.field(field)) {
            return Some(Wanted::Field(field));
        }
        if let Some(header) = header_field(field) {
            return Some(Wanted::Field(header));
        }
        let data = body.is_none_or(|body| body.tail != Tail::None);
        let writes = body == Some(REGION_WRITE.reply);
        match field.as_str() {
            "header.type" => return Some(Wanted::Integer(0, 15)),
            "payload" | "fds" => return Some(Wanted::Integer(0, i128::from(u32::MAX))),
            "data.length" if data => return Some(Wanted::Integer(0, i128::from(u32::MAX))),
            "data" if data => return Some(Wanted::Bytes),
            "written" if writes => return Some(Wanted::Integer(0, i128::from(u32::MAX))),
            "pages" if body.is_some_and(|body| BITMAPS.contains(&body.tail)) => return Some(Wanted::Pages),
            _ => {}
        }
        let fields = layout.map_or(&[][..], |layout| layout.fields).iter().map(|field| field.name);
        let common = COMMON.into_iter().filter(|name| data || !name.starts_with("data"));
        let common = common.chain(writes.then_some("written"));
        let suggestion = similar(field, fields.chain(common));
        let label =
            if body.is_some() { "no field of this message" } else { "the fields of this message are not known" };
        let error = Diagnostic::new(field.span, format!("unknown field `{}`", **field), label).suggest(suggestion);
        self.push(error);
        None
    }

    /// `{label.field}`.
    pub(super) fn reply_field(&mut self, sent: usize, field: &Name) {
        if field.starts_with("header.") || field.as_str() == "data.length" {
            let error =
                Diagnostic::new(field.span, format!("`{}` has no value in braces", **field), "only in conditions");
            return self.push(error);
        }
        let reply = self.sent.get(sent).and_then(|sent| sent.reply);
        self.field(field, reply);
    }

    /// `{label.data}`.
    pub(super) fn reply_data(&mut self, sent: usize, field: &Name) {
        let reply = self.sent.get(sent).and_then(|sent| sent.reply);
        self.field(field, reply);
    }
}
