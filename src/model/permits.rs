//! What may come for one command.

use crate::verdict::Class;

/// A requirement that an answer would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub requirement: &'static str,
    /// How much breaking it weighs.
    pub class: Class,
    /// What would have been right.
    pub expected: String,
}

/// What a server may answer to one command in one state: each kind of answer with what it breaks. Nothing means that it
/// conforms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permits {
    /// A successful reply.
    pub ok: Vec<Rule>,
    /// An error reply.
    pub error: Vec<Rule>,
    /// The errno that an error reply must carry, and what another one breaks.
    pub errno: Option<(u32, Rule)>,
    /// The end of the connection.
    pub closed: Vec<Rule>,
    /// No reply, though later commands were answered.
    pub silent: Vec<Rule>,
    /// The requirement that this command puts to the test: what a server breaks that crashes of it, or falls silent where
    /// it should refuse.
    pub tests: Option<&'static str>,
}

/// Which answer it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A successful reply.
    Ok,
    /// An error reply.
    Error,
    /// The connection's end.
    Closed,
    /// No reply.
    Silent,
}

impl Permits {
    /// Any answer conforms, and so does none.
    pub fn anything() -> Permits {
        Permits::default()
    }

    /// Success and refusal conform, a close as well; an answer there must be.
    pub fn either() -> Permits {
        Permits { silent: vec![answer_due()], ..Permits::default() }
    }

    /// Success is due: a refusal breaks `requirement`.
    pub fn success(requirement: &'static str, class: Class, expected: impl Into<String>) -> Permits {
        let refused = Rule { requirement, class, expected: expected.into() };
        let (closed, silent) = (vec![answer_due()], vec![answer_due()]);
        Permits { error: vec![refused], closed, silent, tests: Some(requirement), ..Permits::default() }
    }

    /// A refusal is due: success breaks `requirement`.
    pub fn refusal(requirement: &'static str, class: Class, expected: impl Into<String>) -> Permits {
        Permits::either().unless(requirement, class, expected).testing(requirement)
    }

    /// Success breaks `requirement`, too.
    pub fn unless(mut self, requirement: &'static str, class: Class, expected: impl Into<String>) -> Permits {
        self.ok.push(Rule { requirement, class, expected: expected.into() });
        self
    }

    /// It puts `requirement` to the test, whatever is answered.
    pub fn testing(self, requirement: &'static str) -> Permits {
        Permits { tests: Some(requirement), ..self }
    }

    /// A close breaks `requirement`, too.
    pub fn open(mut self, requirement: &'static str, class: Class, expected: impl Into<String>) -> Permits {
        self.closed.push(Rule { requirement, class, expected: expected.into() });
        self
    }

    /// A refusal must carry this errno.
    pub fn errno(mut self, errno: u32, requirement: &'static str, expected: impl Into<String>) -> Permits {
        self.errno = Some((errno, Rule { requirement, class: Class::Violation, expected: expected.into() }));
        self
    }

    /// What a whole message would have got: a refusal, a close or silence breaks `requirement` instead, and no more of it.
    pub fn refused_for(mut self, requirement: &'static str) -> Permits {
        for rule in self.error.iter_mut().chain(&mut self.closed) {
            let expected = "success, as for the same message in one piece".to_owned();
            *rule = Rule { requirement, expected, ..*rule };
        }
        for rule in &mut self.silent {
            rule.requirement = requirement;
        }
        self.testing(requirement)
    }

    /// The same with other names for its requirements.
    pub(super) fn renamed(mut self, name: impl Fn(&'static str) -> &'static str) -> Permits {
        let errno = self.errno.iter_mut().map(|(_, rule)| rule);
        let rules =
            self.ok.iter_mut().chain(&mut self.error).chain(errno).chain(&mut self.closed).chain(&mut self.silent);
        rules.for_each(|rule| rule.requirement = name(rule.requirement));
        self.tests = self.tests.map(&name);
        self
    }

    /// What that kind of answer breaks.
    pub fn breaks(&self, kind: Kind) -> &[Rule] {
        match kind {
            Kind::Ok => &self.ok,
            Kind::Error => &self.error,
            Kind::Closed => &self.closed,
            Kind::Silent => &self.silent,
        }
    }

    /// Every rule that it holds.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        let errno = self.errno.iter().map(|(_, rule)| rule);
        self.ok.iter().chain(&self.error).chain(errno).chain(&self.closed).chain(&self.silent)
    }
}

/// Every command that does not set No_reply is answered.
fn answer_due() -> Rule {
    Rule { requirement: "HDR-14", class: Class::Violation, expected: "exactly one reply".to_owned() }
}
