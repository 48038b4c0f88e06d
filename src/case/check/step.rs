//! The steps of a case, in order.

use std::str::FromStr;

use nix::sys::signal::Signal;
use vfio_user_wire::{Direction, Header};

use super::value::Wanted;
use super::{Checker, Known, similar};
use crate::case::{Argument, Descriptor, DeviceAction, Diagnostic, Name, Serve, Span, Spanned, Step, StepKind};

/// What `serve next` can change besides the header.
const CHANGES: [&str; 8] =
    ["header.id", "header.type", "header.flags", "header.size", "address", "count", "data", "payload"];

impl<'a> Checker<'a> {
    pub(super) fn steps(&mut self, steps: &'a [Step]) {
        for step in steps {
            self.requirements(&step.requirements);
            self.notes_act(step);
            self.idle_answers(step);
            self.step(step);
        }
    }

    fn requirements(&mut self, requirements: &[Spanned<String>]) {
        self.checks += requirements.len();
        for id in requirements {
            let error = match (self.context.requirement)(id) {
                Some(true) => continue,
                Some(false) => {
                    Diagnostic::new(id.span, format!("`{}` is not reviewed", **id), "no case can check it yet")
                        .help("compare its entry in requirements/ with the specification first")
                }
                None => {
                    let suggestion = (self.context.similar_requirement)(id);
                    Diagnostic::new(id.span, format!("unknown requirement `{}`", **id), "not in the register")
                        .suggest(suggestion)
                }
            };
            self.push(error);
        }
    }

    fn step(&mut self, step: &'a Step) {
        let before = self.before.take();
        match &step.kind {
            StepKind::Let(name, descriptor) => {
                self.made_of(descriptor, step.span);
                self.give(name, Known::Made(descriptor));
            }
            StepKind::Client(name, _) => self.declare_end(name),
            StepKind::Server(name) => {
                self.need(&["second-server"], step.span);
                self.declare_end(name);
            }
            StepKind::Close(end) | StepKind::Shutdown(end) => self.leaves(end.as_ref(), step.span),
            StepKind::Send(send) => {
                self.joined(send, before, step.span);
                self.send(send, step.span);
            }
            StepKind::Expect(expect) => self.expect(expect, step.span),
            StepKind::Device(end, action, arguments) => {
                self.sends(end.as_ref(), step.span);
                self.device(*action, arguments, step.span);
            }
            StepKind::Save(end, stream, arguments) => {
                self.sends(end.as_ref(), step.span);
                self.options("save", arguments, &[("chunk", 1), ("ahead", 1), ("most", 0)]);
                self.declare_stream(stream);
            }
            StepKind::Restore(end, stream, arguments) => {
                self.sends(end.as_ref(), step.span);
                self.stream(stream);
                self.options("restore", arguments, &[("chunk", 1), ("upto", 0), ("changed", 0)]);
            }
            StepKind::Truncate(name, size) => {
                if !matches!(self.descriptor(name), None | Some(Descriptor::Memfd(_))) {
                    let text = format!("`{}` cannot be cut off", **name);
                    self.push(Diagnostic::new(name.span, text, "expected a memfd that can be written"));
                }
                self.between(size, step.span, 0, i128::from(i64::MAX));
            }
            StepKind::Baseline => self.need(&["pid", "spawned", "conventions"], step.span),
            StepKind::Signal(name) => {
                self.need(&["spawned", "conventions"], step.span);
                self.signal(name);
            }
            StepKind::Serve(Serve::Error(errno)) => self.errno(errno),
            StepKind::Serve(Serve::Next(changes)) => self.changes(changes),
            StepKind::Serve(Serve::Memory | Serve::Hold) => {}
            StepKind::Await(command, conditions) => {
                let message = self.command(command);
                if message.is_some_and(|message| message.direction != Direction::ToClient) {
                    let text = format!("a server does not send {}", **command);
                    self.push(Diagnostic::new(command.span, text, "expected DMA_READ or DMA_WRITE"));
                }
                let body = message.map(|message| message.request);
                conditions.iter().for_each(|condition| self.condition(condition, body));
            }
            StepKind::Ring(label, conditions) => self.sub_region(label, conditions),
            StepKind::Do(procedure, arguments) => self.procedure(procedure, arguments),
            StepKind::If(label, steps) => {
                self.label(label);
                self.blocks += 1;
                self.block = self.blocks;
                self.steps(steps);
                self.block = 0;
            }
        }
    }

    fn made_of(&mut self, descriptor: &Descriptor, span: Span) {
        match descriptor {
            Descriptor::Integer(value) => self.integer(value, span),
            Descriptor::Memfd(size) | Descriptor::MemfdReadOnly(size) => {
                self.between(size, span, 0, i128::from(i64::MAX))
            }
            Descriptor::Eventfd(Some(count)) => self.between(count, span, 0, i128::from(u64::MAX) - 1),
            _ => {}
        }
    }

    /// An error unless the case needs one of these.
    pub(super) fn need(&mut self, words: &[&str], span: Span) {
        if self.has_need(words) {
            return;
        }
        let wanted = words.join("` or `needs ");
        self.push(Diagnostic::new(span, "not every target can do this", format!("the case lacks `needs {wanted}`")));
    }

    fn device(&mut self, action: DeviceAction, arguments: &'a [Argument], span: Span) {
        let (keys, needs): (&[&str], &[&str]) = match action {
            DeviceAction::DmaWrite => (&["iova", "length", "pattern"], &["device-dma"]),
            DeviceAction::DmaRead => (&["iova", "length"], &["device-dma-read"]),
            DeviceAction::RaiseIrq => (&["index", "vector"], &["device-irq", "device-irq-any"]),
        };
        self.need(needs, span);
        self.once_each(arguments);
        for argument in arguments {
            if keys.contains(&argument.key.as_str()) {
                self.value(&argument.key, &argument.value, Wanted::Integer(0, i128::from(u64::MAX)));
                continue;
            }
            let message = format!("`{action}` has no `{}`", *argument.key);
            let error = Diagnostic::new(argument.key.span, message, format!("expected {}", keys.join(", ")));
            self.push(error.suggest(similar(&argument.key, keys.iter().copied())));
        }
    }

    /// Numbers by name, each with the least that it can be.
    fn options(&mut self, what: &str, arguments: &'a [Argument], known: &[(&str, i128)]) {
        self.once_each(arguments);
        for argument in arguments {
            let key = argument.key.as_str();
            if let Some((_, least)) = known.iter().find(|(known, _)| *known == key) {
                self.value(key, &argument.value, Wanted::Integer(*least, i128::from(u32::MAX)));
                continue;
            }
            let keys: Vec<&str> = known.iter().map(|(key, _)| *key).collect();
            let message = format!("`{what}` has no `{key}`");
            let error = Diagnostic::new(argument.key.span, message, format!("expected {}", keys.join(", ")));
            self.push(error.suggest(similar(key, keys)));
        }
    }

    fn signal(&mut self, name: &Name) {
        if Signal::from_str(&format!("SIG{}", **name)).is_err() {
            let names: Vec<&str> =
                Signal::iterator().filter_map(|signal| signal.as_str().strip_prefix("SIG")).collect();
            let error =
                Diagnostic::new(name.span, format!("unknown signal `{}`", **name), "expected a name such as TERM");
            let bare = name.strip_prefix("SIG").unwrap_or(name);
            self.push(error.suggest(similar(bare, names)));
        }
    }

    fn changes(&mut self, changes: &'a [Argument]) {
        self.once_each(changes);
        for change in changes {
            let field = change.key.strip_prefix("header.").and_then(|name| Header::LAYOUT.field(name));
            let access = vfio_user_wire::message::DmaAccess::LAYOUT.fields.iter();
            let field = field.or_else(|| access.into_iter().find(|field| field.name == change.key.as_str()));
            let wanted = match (change.key.as_str(), field) {
                ("header.type", _) => Wanted::Integer(0, 15),
                ("payload", _) => Wanted::Size,
                ("data", _) => Wanted::Change,
                (key, Some(field)) if CHANGES.contains(&key) => Wanted::Changed(field),
                (key, _) => {
                    let message = format!("a reply to the server has no `{key}`");
                    let error = Diagnostic::new(change.key.span, message, "unknown here");
                    self.push(error.suggest(similar(key, CHANGES)));
                    continue;
                }
            };
            self.value(&change.key, &change.value, wanted);
        }
    }

    fn procedure(&mut self, procedure: &Name, arguments: &'a [Argument]) {
        if !(self.context.procedure)(procedure) {
            let suggestion = (self.context.similar_procedure)(procedure);
            let error =
                Diagnostic::new(procedure.span, format!("unknown procedure `{}`", **procedure), "nothing to `do`");
            self.push(error.suggest(suggestion));
        }
        self.once_each(arguments);
        for argument in arguments {
            self.value(&argument.key, &argument.value, Wanted::Anything);
        }
    }
}
