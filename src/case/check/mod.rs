//! What can be wrong with a case whose lines are well formed: words that nobody knows, names that nobody gave.

mod expect;
mod idle;
mod names;
mod send;
mod step;
mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use vfio_user_wire::{Body, Dialect, Message};

pub use self::names::TARGET_NAMES;
use super::{Case, Descriptor, Diagnostic, Given, NEEDS, Source, Spanned, TWIN, Value, With, similar};

/// What cases are checked against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Commands, their fields and bits, where a case does not say which version it is for.
    pub dialect: &'a Dialect,
    /// Whether a requirement is reviewed; `None` where the register has none of that id.
    pub requirement: &'a dyn Fn(&str) -> Option<bool>,
    /// The id in the register most like that one; [`similar`] finds it.
    pub similar_requirement: &'a dyn Fn(&str) -> Option<String>,
    /// Whether there is a procedure of that name.
    pub procedure: &'a dyn Fn(&str) -> bool,
    /// The procedure most like that name.
    pub similar_procedure: &'a dyn Fn(&str) -> Option<String>,
    /// The cases are samples: set-up for `for every command`, which checks nothing itself.
    pub samples: bool,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("dialect", &self.dialect.name)
            .field("samples", &self.samples)
            .finish_non_exhaustive()
    }
}

/// Everything that is wrong with the cases of one file, in the order of the file.
pub fn check(cases: &[Case], context: &Context<'_>) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut names = HashSet::new();
    for case in cases {
        if !names.insert(case.name.as_str()) {
            let message = format!("a second case named `{}`", *case.name);
            diagnostics.push(Diagnostic::new(case.name.span, message, "the name stands above already"));
        }
        let profiles = case.profiles.iter().map(|profile| Context { dialect: profile.dialect(), ..*context });
        let contexts = if case.profiles.is_empty() { vec![*context] } else { profiles.collect() };
        for context in &contexts {
            let mut checker = Checker::new(case, context);
            checker.case();
            diagnostics.append(&mut checker.diagnostics);
        }
    }
    // One value of a parameter can be wrong in many lines in the same way.
    let mut said = HashSet::new();
    diagnostics.retain(|error| said.insert((error.span.start, error.span.end, error.message.clone())));
    diagnostics.sort_by_key(|error| error.span.start);
    diagnostics
}

/// Names that cases of several files have in common: the number of the later file, and the error in it.
pub fn duplicates(files: &[(&Source, &[Case])]) -> Vec<(usize, Diagnostic)> {
    let mut first: HashMap<&str, (usize, &Spanned<String>)> = HashMap::new();
    let mut diagnostics = Vec::new();
    for (number, (_, cases)) in files.iter().enumerate() {
        for case in *cases {
            let (home, name) = *first.entry(case.name.as_str()).or_insert((number, &case.name));
            let Some((source, _)) = files.get(home).filter(|_| home != number) else {
                continue;
            };
            let (line, _) = Diagnostic::new(name.span, "", "").line_column(source);
            let message = format!("a second case named `{}`", *case.name);
            let label = format!("the first one is {}:{line}", source.name);
            diagnostics.push((number, Diagnostic::new(case.name.span, message, label)));
        }
    }
    diagnostics
}

/// The need that no target meets beside this one.
fn opposite(need: &str) -> Option<String> {
    match need {
        "exits" => Some("reconnect".to_owned()),
        "reconnect" => Some("exits".to_owned()),
        need => Some(need.strip_prefix("no-").map_or_else(|| format!("no-{need}"), str::to_owned)),
    }
}

/// What a name without a dot stands for.
#[derive(Debug, Clone, Copy)]
enum Known<'a> {
    Parameter(&'a With),
    Made(&'a Descriptor),
}

/// A message that was sent.
#[derive(Debug, Clone, Copy)]
struct Sent<'a> {
    end: Option<&'a str>,
    message: Option<&'static Message>,
    /// What its successful reply looks like; `None` where that is not known.
    reply: Option<Body>,
    /// It asks for no reply.
    no_reply: bool,
    /// A line asked for its outcome.
    asked: bool,
}

/// Something named, and in which `if` (from 1; 0 for none).
#[derive(Debug, Clone, Copy)]
struct Scoped<T> {
    block: usize,
    value: T,
}

struct Checker<'a> {
    case: &'a Case,
    context: &'a Context<'a>,
    diagnostics: Vec<Diagnostic>,
    names: BTreeMap<&'a str, Scoped<Known<'a>>>,
    ends: BTreeMap<&'a str, Scoped<()>>,
    labels: BTreeMap<&'a str, Scoped<usize>>,
    /// The ends on which the case has said its last.
    left: BTreeSet<Option<&'a str>>,
    /// What `save` lines name.
    streams: BTreeMap<&'a str, Scoped<()>>,
    sent: Vec<Sent<'a>>,
    /// By end: what was sent and not asked for yet; what a label asked for is still there.
    pending: HashMap<Option<&'a str>, VecDeque<usize>>,
    /// The end of the message on the line before, if that line sent one: `>+` joins it.
    before: Option<Option<&'a str>>,
    /// `silent` alone was expected of these.
    silent: Vec<(usize, super::Span)>,
    /// The `if` that is being read, and how many there were.
    block: usize,
    blocks: usize,
    /// The line has `times`, so that `{i}` is known.
    times: bool,
    /// `{command}` was sent.
    sampled: bool,
    /// A line does something that a server can notice.
    acts: bool,
    /// How many requirements the case checks.
    checks: usize,
}

impl<'a> Checker<'a> {
    fn new(case: &'a Case, context: &'a Context<'a>) -> Self {
        Checker {
            case,
            context,
            diagnostics: Vec::new(),
            names: BTreeMap::new(),
            ends: BTreeMap::new(),
            labels: BTreeMap::new(),
            left: BTreeSet::new(),
            streams: BTreeMap::new(),
            sent: Vec::new(),
            pending: HashMap::new(),
            before: None,
            silent: Vec::new(),
            block: 0,
            blocks: 0,
            times: false,
            sampled: false,
            acts: false,
            checks: 0,
        }
    }

    fn case(&mut self) {
        self.needs();
        for with in &self.case.with {
            self.with(with);
        }
        self.channel();
        self.steps(&self.case.steps);
        if self.case.every_command && !self.sampled {
            let error = Diagnostic::new(self.case.name.span, "no line of this case sends `{command}`", "");
            self.push(error.help("`for every command` runs it once for each sample, as `> {command}`"));
        }
        if self.checks == 0 && !self.context.samples {
            let error = Diagnostic::new(self.case.name.span, "this case checks nothing", "no line names a requirement");
            self.push(error.help("the line that checks ends in its requirement: `< error EEXIST [DMAP-05]`"));
        }
        self.acts();
        self.silences();
    }

    fn needs(&mut self) {
        let mut seen = HashSet::new();
        for need in &self.case.needs {
            if !seen.insert(need.as_str()) {
                self.push(Diagnostic::new(need.span, format!("`{}` is needed twice", **need), "said before"));
            }
            if let Some(other) = opposite(need).filter(|other| seen.contains(other.as_str())) {
                let message = format!("no target has `{other}` and `{}`", **need);
                self.push(Diagnostic::new(need.span, message, "the case could never run"));
            }
            if !NEEDS.iter().any(|known| known.word == need.as_str()) {
                let error = Diagnostic::new(need.span, format!("unknown need `{}`", **need), "no word of `needs`");
                self.push(error.suggest(similar(need, NEEDS.iter().map(|known| known.word))));
            }
        }
    }

    /// A session with a twin socket takes a server that has one.
    fn channel(&mut self) {
        let name = &self.case.name;
        if self.case.given == Given::Twin {
            self.ends.insert(TWIN, Scoped { block: 0, value: () });
            if !self.has_need(&["twin-socket"]) {
                let error = Diagnostic::new(name.span, "not every target has a twin socket", "`given twin` needs it");
                self.push(error.help("write `needs twin-socket`"));
            }
        }
        if self.case.every_channel && self.case.given != Given::Negotiated {
            let error =
                Diagnostic::new(name.span, "`for every channel` says what the session is given", "say no `given`");
            self.push(error);
        }
    }

    fn with(&mut self, with: &'a With) {
        for value in &with.values {
            match &value.value {
                Value::Integer(expression) | Value::Plus(expression) | Value::Minus(expression) => {
                    self.integer(expression, value.span);
                }
                Value::Bytes(bytes) => self.bytes(bytes, value.span),
                _ => {}
            }
        }
        self.give(&with.name, Known::Parameter(with));
    }

    /// `silent` is known only when something later was answered.
    fn silences(&mut self) {
        let answered = self.sent.iter().enumerate().filter(|(_, sent)| !sent.no_reply);
        let last: HashMap<Option<&str>, usize> = answered.map(|(index, sent)| (sent.end, index)).collect();
        for (index, span) in std::mem::take(&mut self.silent) {
            let end = self.sent.get(index).and_then(|sent| sent.end);
            if last.get(&end).is_none_or(|last| *last <= index) {
                let error =
                    Diagnostic::new(span, "nothing sent later can show this silence", "the last send on its end");
                self.push(error.help("silence is known when a later command is answered: send one"));
            }
        }
    }

    fn has_need(&self, words: &[&str]) -> bool {
        self.case.needs.iter().any(|need| words.contains(&need.as_str()))
    }

    fn push(&mut self, error: Diagnostic) {
        self.diagnostics.push(error);
    }
}
