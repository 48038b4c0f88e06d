//! One requirement.

use serde::Serialize;

use super::{Cite, Failure, Level};
use crate::Profile;

/// One clause that speaks of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Its id, which never changes: `HDR-19`.
    pub id: String,
    /// The id of its section: `HDR`.
    pub section: String,
    /// How strongly the text binds.
    pub level: Level,
    /// The versions of the protocol that it belongs to, as the register words them: `all`, `0.9.2`, `legacy`.
    pub profiles: String,
    /// Where it stands.
    pub cites: Vec<Cite>,
    /// What the server must, should or may do.
    pub text: String,
    /// What is done to see it.
    pub stimulus: String,
    /// What conforms.
    pub conforms: String,
    /// What deviates without contradicting the text.
    pub note: Option<String>,
    /// What contradicts the text.
    pub violation: Option<String>,
    /// What a server needs for it to be seen.
    pub needs: Vec<String>,
    /// What a plain miss means.
    pub failure: Failure,
    /// Why that, where it is not the default of the level.
    pub failure_reason: Option<String>,
    /// The ids of the policies that bear on it.
    pub policy: Vec<String>,
    /// The cited lines were read, and the text checked against them.
    pub reviewed: bool,
    /// Why no client can see it.
    pub untestable: Option<String>,
}

impl Requirement {
    /// Nothing that a server does about it can fail a run.
    pub fn report_only(&self) -> bool {
        self.level == Level::May || self.failure == Failure::Info
    }

    /// It belongs to the current protocol, 0.9.2; the others to what came before alone.
    pub fn is_current(&self) -> bool {
        self.is_of(Profile::V0_9_2)
    }

    /// A server that speaks this version can be judged by it.
    pub fn is_of(&self, profile: Profile) -> bool {
        Profile::meant_by(&self.profiles).is_some_and(|profiles| profiles.contains(&profile))
    }

    /// Where it stands, on one line: `Header 397-399; Security 315-317`.
    pub fn clause(&self) -> String {
        self.cites.iter().map(Cite::to_string).collect::<Vec<_>>().join("; ")
    }
}
