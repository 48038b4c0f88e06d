//! Which cases run: parameters filled in, samples put in place, filters and needs applied.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::library::{File, is_for};
use crate::Profile;
use crate::case::{Case, Given, Source, Span, Spanned, Step, StepKind, Subject, Value, parse, print};
use crate::model::name_in;
use crate::requirement::Register;
use crate::target::Discovered;

/// A case with its parameters' values: what runs, or is skipped.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name with the values: `header.split/15`.
    pub name: String,
    /// Parameters and their values, as written.
    pub parameters: Vec<(String, String)>,
    /// Parameters and their values.
    pub values: Vec<(String, Value)>,
    /// The case, with the sample in place.
    pub case: Arc<Case>,
    /// What it needs, the sample's needs included.
    pub needs: Vec<String>,
    /// Where it was written.
    pub source: Arc<Source>,
    /// The line of `case`.
    pub line: usize,
    /// Where each line after the first starts.
    lines: Arc<[usize]>,
}

/// Why a case does not run on this target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip(pub String);

/// All cases that can run, in the order of their files.
#[derive(Debug, Default)]
pub struct Plan {
    /// The cases.
    pub cases: Vec<Planned>,
}

impl Planned {
    /// A case that no file has: its source is the text that it is printed as.
    ///
    /// # Errors
    /// A sentence where that text is not read as the same case: a fault of ours.
    pub fn of(case: &Case) -> Result<Planned, String> {
        let source = Source { name: format!("{}.case", *case.name), text: print(std::slice::from_ref(case)) };
        let cases = parse(&source).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(|error| error.render(&source, false)).collect();
            errors.join("\n")
        })?;
        let read = cases.into_iter().next().filter(|read| read == case);
        let read = read.ok_or_else(|| format!("`{}` is read as another case than it was", *case.name))?;
        let lines = lines(&source);
        Ok(Planned {
            name: read.name.value.clone(),
            parameters: Vec::new(),
            values: Vec::new(),
            needs: read.needs.iter().map(|need| need.value.clone()).collect(),
            line: line_of(&lines, read.name.span),
            lines,
            case: Arc::new(read),
            source: Arc::new(source),
        })
    }

    /// The line of a step, from 1.
    pub fn line_of(&self, step: &Step) -> usize {
        line_of(&self.lines, step.span)
    }

    /// The requirements that its lines name, each once.
    pub fn requirements(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for id in self.case.requirements() {
            if !ids.contains(&id.value) {
                ids.push(id.value.clone());
            }
        }
        ids
    }

    /// Why it does not run on this target, if it does not.
    pub fn skip(&self, discovered: &Discovered) -> Option<Skip> {
        self.needs.iter().find_map(|need| discovered.lacks(need)).map(Skip)
    }
}

impl Plan {
    /// Fills in the parameters of those `cases` that are for `profile`; `samples` stand in for `{command}`.
    ///
    /// # Errors
    /// A sentence for a sample that cannot be put in place: a fault of the case files.
    pub fn new(cases: &[File], samples: &[File], profile: Profile, register: &Register) -> Result<Plan, String> {
        let samples: Vec<&Case> = samples
            .iter()
            .flat_map(|(_, cases)| cases)
            .filter(|sample| is_for(profile, sample, true, register))
            .collect();
        let mut plan = Plan::default();
        let cases = cases.iter().flat_map(|(source, cases)| cases.iter().map(move |case| (source, case)));
        for (source, case) in cases.filter(|(_, case)| is_for(profile, case, false, register)) {
            let mut case = case.clone();
            name_requirements(profile, register, &mut case.steps);
            let twin = register.get("TWIN-01").is_some_and(|requirement| requirement.is_of(profile));
            for (case, channel) in by_channel(&case, twin) {
                if case.every_command {
                    for sample in &samples {
                        let (case, command) = with_sample(&case, sample)?;
                        plan.add(source, &case, channel.into_iter().chain([("command", command.as_str())]));
                    }
                } else {
                    plan.add(source, &case, channel);
                }
            }
        }
        Ok(plan)
    }

    /// Adds a case, with what it runs for.
    fn add<'s>(&mut self, source: &Arc<Source>, case: &Case, every: impl IntoIterator<Item = (&'static str, &'s str)>) {
        let every: Vec<(String, String)> =
            every.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let shared = Arc::new(case.clone());
        let lines = lines(source);
        let mut combinations: Vec<Vec<(String, Spanned<Value>)>> = vec![Vec::new()];
        for with in &case.with {
            combinations = combinations
                .into_iter()
                .flat_map(|combination| {
                    with.values.iter().map(move |value| {
                        combination.iter().cloned().chain([(with.name.value.clone(), value.clone())]).collect()
                    })
                })
                .collect();
        }
        for combination in combinations {
            let written = |value: &Spanned<Value>| {
                source.text.get(value.span.start..value.span.end).unwrap_or("?").trim_matches('\'').to_owned()
            };
            let parameters: Vec<(String, String)> = every
                .iter()
                .cloned()
                .chain(combination.iter().map(|(name, value)| (name.clone(), written(value))))
                .collect();
            let mut name = case.name.value.clone();
            for (_, value) in &parameters {
                name.push('/');
                name.push_str(value);
            }
            self.cases.push(Planned {
                name,
                parameters,
                values: combination.into_iter().map(|(name, value)| (name, value.value)).collect(),
                needs: case.needs.iter().map(|need| need.value.clone()).collect(),
                line: line_of(&lines, case.name.span),
                lines: Arc::clone(&lines),
                case: Arc::clone(&shared),
                source: Arc::clone(source),
            });
        }
    }
}

/// Calls the requirements of 0.9.1 what the version calls them that has them in a row of its own.
fn name_requirements(profile: Profile, register: &Register, steps: &mut [Step]) {
    let is_foreign = |id: &str| register.get(id).is_some_and(|requirement| !requirement.is_of(profile));
    for step in steps {
        for id in step.requirements.iter_mut().filter(|id| is_foreign(&id.value)) {
            id.value = name_in(profile.dialect(), &id.value).to_owned();
        }
        let mut named = BTreeSet::new();
        step.requirements.retain(|id| named.insert(id.value.clone()));
        if let StepKind::If(_, then) = &mut step.kind {
            name_requirements(profile, register, then);
        }
    }
}

/// The case, or in a session of each kind that the version has where it runs `for every channel`.
fn by_channel(case: &Case, has_twin: bool) -> Vec<(Case, Option<(&'static str, &'static str)>)> {
    if !case.every_channel {
        return vec![(case.clone(), None)];
    }
    if !has_twin {
        return vec![(case.clone(), Some(("channel", "main")))];
    }
    let mut twin = Case { given: Given::Twin, ..case.clone() };
    twin.needs.push(Spanned::new("twin-socket".to_owned(), case.name.span));
    vec![(case.clone(), Some(("channel", "main"))), (twin, Some(("channel", "twin")))]
}

/// Puts a sample's set-up in front of the first `{command}` line, and its command in place of `{command}`, with the
/// line's own arguments standing over the sample's.
fn with_sample(case: &Case, sample: &Case) -> Result<(Case, String), String> {
    let last = sample.steps.iter().rposition(|step| matches!(step.kind, StepKind::Send(_)));
    let last = last.ok_or_else(|| format!("the sample `{}` sends nothing", sample.name.value))?;
    let Some(Step { kind: StepKind::Send(command), .. }) = sample.steps.get(last) else {
        return Err(format!("the sample `{}` sends nothing", sample.name.value));
    };
    let Subject::Message(name) = &command.subject else {
        return Err(format!("the sample `{}` sends no command by its name", sample.name.value));
    };
    let mut combined = case.clone();
    combined.needs.extend(sample.needs.iter().cloned());
    combined.steps.clear();
    let mut placed = false;
    for step in &case.steps {
        let StepKind::Send(send) = &step.kind else {
            combined.steps.push(step.clone());
            continue;
        };
        if send.subject != Subject::Sample {
            combined.steps.push(step.clone());
            continue;
        }
        if !placed {
            combined.steps.extend(sample.steps.iter().take(last).map(|before| Step {
                span: step.span,
                requirements: Vec::new(),
                ..before.clone()
            }));
            placed = true;
        }
        let mut send = send.clone();
        send.subject = command.subject.clone();
        let own: Vec<String> = send.arguments.iter().map(|argument| argument.key.value.clone()).collect();
        send.arguments.extend(command.arguments.iter().filter(|argument| !own.contains(&argument.key.value)).cloned());
        combined.steps.push(Step { kind: StepKind::Send(send), ..step.clone() });
    }
    Ok((combined, name.value.clone()))
}

fn lines(source: &Source) -> Arc<[usize]> {
    source.text.match_indices('\n').map(|(end, _)| end + 1).collect()
}

fn line_of(lines: &[usize], span: Span) -> usize {
    1 + lines.partition_point(|start| *start <= span.start)
}
