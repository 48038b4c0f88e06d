//! A `>` line that was drawn, before it is known what stands around it.

use crate::case::{Argument, Bytes, Expression, Name, Send, Span, Spanned, Step, StepKind, Subject, Value};

/// A message to be sent.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// What its label is made of, where it needs one.
    pub(super) role: &'static str,
    /// What is sent.
    pub(super) subject: Subject,
    /// What is said of it.
    pub(super) arguments: Vec<Argument>,
    /// A later step asks for its label.
    pub(super) named: bool,
}

impl Message {
    /// A command by its name.
    pub(super) fn command(role: &'static str, name: &str) -> Message {
        Message { role, subject: Subject::Message(word(name)), arguments: Vec::new(), named: false }
    }

    /// A command by its number.
    pub(super) fn number(number: u64) -> Message {
        Message { role: "unknown", subject: Subject::Number(integer(number)), arguments: Vec::new(), named: false }
    }

    /// Bytes.
    pub(super) fn raw(bytes: Bytes) -> Message {
        Message { role: "noise", subject: Subject::Raw(bytes), arguments: Vec::new(), named: false }
    }

    /// With this argument, in place of one of the same key.
    #[must_use]
    pub(super) fn with(mut self, key: &str, value: Value) -> Message {
        let said = Argument { key: word(key), value: spanned(value) };
        match self.arguments.iter_mut().find(|argument| argument.key.as_str() == key) {
            Some(argument) => *argument = said,
            None => self.arguments.push(said),
        }
        self
    }

    /// With this argument besides others of the same key.
    #[must_use]
    pub(super) fn and(mut self, key: &str, value: Value) -> Message {
        self.arguments.push(Argument { key: word(key), value: spanned(value) });
        self
    }

    /// The words of an argument.
    pub(super) fn words_of(&self, key: &str) -> Vec<&str> {
        match self.value(key) {
            Some(Value::Words(words)) => words.iter().map(|word| word.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The descriptors that go with it (`fd`), or that it is served from (`memory`), one by one.
    pub(super) fn descriptors(&self, key: &str) -> Vec<String> {
        let named = |argument: &&Argument| argument.key.trim_end_matches('s') == key;
        let values = self.arguments.iter().filter(named).map(|argument| &argument.value.value);
        let names = values.flat_map(|value| if let Value::Names(names) = value { names.as_slice() } else { &[] });
        let times = |times: &Option<Expression>| match times {
            Some(Expression::Number { value, .. }) => *value as usize,
            _ => 1,
        };
        names.flat_map(|(name, count)| vec![name.value.clone(); times(count)]).collect()
    }

    /// The value of an argument.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.arguments.iter().find(|argument| argument.key.as_str() == key).map(|argument| &argument.value.value)
    }

    /// With an address, a size, an offset: hexadecimal.
    #[must_use]
    pub(super) fn hex(self, key: &str, value: u64) -> Message {
        self.with(key, Value::Integer(hexadecimal(value)))
    }

    /// With an index, a count.
    #[must_use]
    pub(super) fn integer(self, key: &str, value: u64) -> Message {
        self.with(key, Value::Integer(integer(value)))
    }

    /// With bits by their names.
    #[must_use]
    pub(super) fn words(self, key: &str, words: &str) -> Message {
        self.with(key, Value::Words(words.split('|').map(word).collect()))
    }

    /// With bytes.
    #[must_use]
    pub(super) fn data(self, bytes: Bytes) -> Message {
        self.with("data", Value::Bytes(bytes))
    }

    /// With these descriptors; a name that follows itself is written once.
    #[must_use]
    pub(super) fn fds(self, names: &[String]) -> Message {
        let mut counted: Vec<(Name, u64)> = Vec::new();
        for name in names {
            match counted.last_mut() {
                Some((last, count)) if last.as_str() == name => *count += 1,
                _ => counted.push((word(name), 1)),
            }
        }
        let one = names.len() == 1;
        let names = counted.into_iter().map(|(name, count)| (name, (count > 1).then(|| integer(count)))).collect();
        if one { self.with("fd", Value::Names(names)) } else { self.with("fds", Value::Names(names)) }
    }

    /// Whether something is said of `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.arguments.iter().any(|argument| argument.key.as_str() == key)
    }

    /// It carries descriptors.
    pub(super) fn has_fds(&self) -> bool {
        self.has("fd") || self.has("fds")
    }

    /// A reply is wanted.
    pub(super) fn wants_reply(&self) -> bool {
        !self.has("no_reply")
    }

    /// It is that command.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(&self.subject, Subject::Message(subject) if subject.as_str() == name)
    }

    /// The value of an integer argument.
    pub(super) fn get(&self, key: &str) -> Option<u64> {
        self.arguments.iter().find(|argument| argument.key.as_str() == key).and_then(|argument| {
            match &argument.value.value {
                Value::Integer(Expression::Number { value, .. }) => Some(*value),
                _ => None,
            }
        })
    }

    /// The line.
    pub(super) fn step(mut self, end: Option<&str>, label: Option<&str>, joined: bool) -> Step {
        self.arguments.sort_by_key(|argument| place(&argument.key));
        let (end, label) = (end.map(word), label.map(word));
        step(StepKind::Send(Send { joined, end, label, subject: self.subject, arguments: self.arguments }))
    }
}

/// Fields first, then what comes with them, then what is done to the message.
fn place(key: &str) -> u8 {
    match key {
        "no_reply" => 4,
        "payload" | "cut" => 3,
        "fd" | "fds" | "memory" => 2,
        "data" | "ranges" | "entry" => 1,
        header if header.starts_with("header.") => 3,
        _ => 0,
    }
}

/// A line without a place.
pub(super) fn step(kind: StepKind) -> Step {
    Step { comments: Vec::new(), span: Span::default(), kind, requirements: Vec::new() }
}

/// A word without a place.
pub(super) fn word(word: &str) -> Spanned<String> {
    spanned(word.to_owned())
}

/// A value without a place.
pub(super) fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Span::default())
}

/// A number as people write counts: large ones in hexadecimal.
pub(super) fn integer(value: u64) -> Expression {
    Expression::Number { value, hex: value > 9999 }
}

/// A number as people write addresses.
pub(super) fn hexadecimal(value: u64) -> Expression {
    Expression::Number { value, hex: value > 0 }
}

/// An argument of a line that sends nothing.
pub(super) fn argument(key: &str, value: Expression) -> Argument {
    Argument { key: word(key), value: spanned(Value::Integer(value)) }
}
