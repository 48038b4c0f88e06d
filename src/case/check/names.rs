//! Who gave which name.

use super::{Checker, Known, Scoped};
use crate::case::{Descriptor, Diagnostic, FIRST, Given, NEEDS, Name, Span, Value, With, similar};

/// Names in braces that need no word of `needs`: the device's counts, and what VERSION agreed on.
pub const TARGET_NAMES: &[&str] = &[
    "target.num_regions",
    "target.num_irqs",
    "target.pgsize",
    "target.max_msg_fds",
    "target.max_data_xfer_size",
    "target.max_dma_maps",
];

/// Names that no case can give: the iteration of `times`, the sample's command, and what the target is.
const RESERVED: [&str; 3] = ["i", "command", "target"];

/// What a name in braces stands for.
pub(super) enum Meaning<'a> {
    Integer,
    Parameter(&'a With),
    /// `label.data`.
    Data,
    /// A descriptor, or nothing at all; that was said.
    Nothing,
}

impl<'a> Checker<'a> {
    /// Enters a parameter or something that `let` makes.
    pub(super) fn give(&mut self, name: &'a Name, known: Known<'a>) {
        self.reserved(name);
        if self.names.contains_key(name.as_str()) {
            self.push(Diagnostic::new(name.span, format!("`{}` is given twice", **name), "it has a meaning already"));
        }
        self.names.insert(name, Scoped { block: self.block, value: known });
    }

    fn reserved(&mut self, name: &Name) {
        if RESERVED.contains(&name.as_str()) {
            self.push(Diagnostic::new(name.span, format!("`{}` means something else", **name), "take another name"));
        }
    }

    /// It is the name of an end, a message, or migration data.
    fn is_taken(&self, name: &Name) -> bool {
        let name = name.as_str();
        self.ends.contains_key(name) || self.labels.contains_key(name) || self.streams.contains_key(name)
    }

    /// Enters what a `save` line reads.
    pub(super) fn declare_stream(&mut self, name: &'a Name) {
        self.reserved(name);
        if self.is_taken(name) {
            let message = format!("`{}` is an end, a label or migration data already", **name);
            self.push(Diagnostic::new(name.span, message, "said before"));
        }
        self.streams.insert(name, Scoped { block: self.block, value: () });
    }

    /// What a `save` line above has read.
    pub(super) fn stream(&mut self, name: &Name) {
        if self.visible(self.streams.get(name.as_str())).is_none() {
            let message = format!("no migration data `{}`", **name);
            let error = Diagnostic::new(name.span, message, "no `save` line above reads it");
            self.push(error.suggest(similar(name, self.streams.keys().copied())));
        }
    }

    pub(super) fn declare_end(&mut self, name: &'a Name) {
        self.reserved(name);
        if self.is_taken(name) {
            self.push(Diagnostic::new(name.span, format!("`{}` is an end or a label already", **name), "said before"));
        }
        if name.as_str() == FIRST && self.case.given != Given::Nothing {
            let message = format!("`{FIRST}` is the client that is connected before the first step");
            self.push(Diagnostic::new(name.span, message, "take another name"));
        }
        self.ends.insert(name, Scoped { block: self.block, value: () });
    }

    pub(super) fn declare_label(&mut self, name: &'a Name, sent: usize) {
        self.reserved(name);
        if self.is_taken(name) {
            let message = format!("a second message labelled `{}`", **name);
            self.push(Diagnostic::new(name.span, message, "the label stands above already"));
        }
        let hidden = NEEDS.iter().filter(|need| self.has_need(&[need.word])).flat_map(|need| need.names);
        if hidden.into_iter().any(|known| known.split('.').next() == Some(name.as_str())) {
            let message = format!("`{{{}.` is what the case needs, and cannot be a label", **name);
            self.push(Diagnostic::new(name.span, message, "take another label"));
        }
        self.labels.insert(name, Scoped { block: self.block, value: sent });
    }

    fn visible<T: Copy>(&self, scoped: Option<&Scoped<T>>) -> Option<T> {
        scoped.filter(|scoped| scoped.block == 0 || scoped.block == self.block).map(|scoped| scoped.value)
    }

    /// The message of that label.
    pub(super) fn label(&mut self, name: &Name) -> Option<usize> {
        let found = self.visible(self.labels.get(name.as_str()));
        if found.is_none() {
            let error = match self.labels.contains_key(name.as_str()) {
                true => Diagnostic::new(name.span, format!("`{}` is sent only in an `if`", **name), "not known here"),
                false => {
                    Diagnostic::new(name.span, format!("no message `{}` was sent", **name), "no label of a line above")
                        .suggest(similar(name, self.labels.keys().chain(self.ends.keys()).copied()))
                }
            };
            self.push(error);
        }
        found
    }

    /// The connection of that name; the first one where there is none.
    fn connection(&mut self, end: Option<&'a Name>, span: Span) {
        match end {
            Some(end) => self.end(end),
            None if self.case.given == Given::Nothing => {
                let error = Diagnostic::new(span, "nothing is connected", "the case is `given nothing`");
                self.push(error.help("declare an end with `client NAME`, and send on it"));
            }
            None => {}
        }
    }

    /// A line sends on that end.
    pub(super) fn sends(&mut self, end: Option<&'a Name>, span: Span) {
        self.connection(end, span);
        if self.left.contains(&end.map(|end| end.as_str())) {
            let error =
                Diagnostic::new(span, "nothing can be sent here any more", "a line above closes this connection");
            self.push(error.help("a `client NAME` connects anew; its lines begin with its name"));
        }
    }

    /// A line that ends sending.
    pub(super) fn leaves(&mut self, end: Option<&'a Name>, span: Span) {
        self.connection(end, span);
        self.left.insert(end.map(|end| end.as_str()));
    }

    pub(super) fn end(&mut self, name: &Name) {
        if self.visible(self.ends.get(name.as_str())).is_none() {
            let error = Diagnostic::new(
                name.span,
                format!("no end `{}`", **name),
                "no `client` or `server` line above declares it",
            );
            self.push(error.suggest(similar(name, self.ends.keys().copied())));
        }
    }

    /// The descriptor of that name.
    pub(super) fn descriptor(&mut self, name: &Name) -> Option<&'a Descriptor> {
        match self.visible(self.names.get(name.as_str())) {
            Some(Known::Made(Descriptor::Integer(_))) | Some(Known::Parameter(_)) => {
                self.push(Diagnostic::new(
                    name.span,
                    format!("`{}` is no descriptor", **name),
                    "a descriptor belongs here",
                ));
                None
            }
            Some(Known::Made(descriptor)) => Some(descriptor),
            None => {
                let made = self.names.iter().filter(|(_, scoped)| !is_integer(scoped.value)).map(|(name, _)| *name);
                let error =
                    Diagnostic::new(name.span, format!("no descriptor `{}`", **name), "no `let` line above makes it");
                let error = error.suggest(similar(name, made));
                self.push(error);
                None
            }
        }
    }

    /// What `{name}` stands for.
    pub(super) fn braces(&mut self, name: &Name) -> Meaning<'a> {
        if name.as_str() == "i" {
            return self.iteration(name);
        }
        if name.contains('.') {
            return self.dotted(name);
        }
        match self.visible(self.names.get(name.as_str())) {
            Some(Known::Parameter(with)) => Meaning::Parameter(with),
            Some(Known::Made(Descriptor::Integer(_))) => Meaning::Integer,
            Some(Known::Made(_)) => {
                let message = format!("`{}` is a descriptor, not an integer", **name);
                self.push(Diagnostic::new(name.span, message, "an integer belongs here"));
                Meaning::Nothing
            }
            None if name.as_str() == "command" => {
                let error = Diagnostic::new(name.span, "`{command}` can only be sent", "no value");
                self.push(error.help("write `> {command}` in a case with `for every command`"));
                Meaning::Nothing
            }
            None => self.unknown(name),
        }
    }

    fn iteration(&mut self, name: &Name) -> Meaning<'a> {
        if !self.times {
            let error = Diagnostic::new(name.span, "`{i}` counts what `times` repeats", "this line has no `times`");
            self.push(error);
        }
        Meaning::Integer
    }

    fn dotted(&mut self, name: &Name) -> Meaning<'a> {
        let words: Vec<&str> =
            NEEDS.iter().filter(|need| need.names.contains(&name.as_str())).map(|need| need.word).collect();
        if TARGET_NAMES.contains(&name.as_str()) || self.has_need(&words) {
            return Meaning::Integer;
        }
        let (label, field) = name.split_once('.').unwrap_or((name, ""));
        if field == "length" && self.visible(self.streams.get(label)).is_some() {
            return Meaning::Integer;
        }
        let known = self.labels.contains_key(label);
        if let Some(word) = words.first().filter(|_| !known) {
            let message = format!("`{}` is known only where the case needs it", **name);
            let error = Diagnostic::new(name.span, message, format!("no `needs {word}` in this case"));
            self.push(error.help(format!("write `needs {}`", words.join("` or `needs "))));
            return Meaning::Nothing;
        }
        if !known {
            return self.unknown(name);
        }
        let start = name.span.start;
        let label = Name::new(label.to_owned(), crate::case::Span { start, end: start + label.len() });
        let Some(sent) = self.label(&label) else {
            return Meaning::Nothing;
        };
        let field = Name::new(field.to_owned(), crate::case::Span { start: label.span.end + 1, end: name.span.end });
        if field.as_str() == "data" {
            self.reply_data(sent, &field);
            return Meaning::Data;
        }
        if field.as_str() == "value" {
            self.reply_data(sent, &Name::new("data".to_owned(), field.span));
            return Meaning::Integer;
        }
        self.reply_field(sent, &field);
        Meaning::Integer
    }

    fn unknown(&mut self, name: &Name) -> Meaning<'a> {
        let needed = NEEDS.iter().flat_map(|need| need.names.iter().copied());
        let own = self.names.iter().filter(|(_, scoped)| is_integer(scoped.value)).map(|(name, _)| *name);
        let suggestion = similar(name, TARGET_NAMES.iter().copied().chain(needed).chain(own));
        let label = "no parameter, no integer of a `let` line above, no label, nothing that the case needs";
        let error = Diagnostic::new(name.span, format!("unknown name `{}`", **name), label).suggest(suggestion);
        self.push(error);
        Meaning::Nothing
    }
}

fn is_integer(known: Known<'_>) -> bool {
    matches!(known, Known::Parameter(_) | Known::Made(Descriptor::Integer(_)))
}

/// Whether every value of the parameter is an integer.
pub(super) fn holds_integers(with: &With) -> bool {
    with.values.iter().all(|value| matches!(value.value, Value::Integer(_)))
}
