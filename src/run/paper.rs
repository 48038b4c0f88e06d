//! The targets that cases are rehearsed against: the conformance device, as a probe finds it in each version.

use std::sync::Arc;

use super::{Plan, Rehearsal, rehearse};
use crate::Profile;
use crate::case::{Diagnostic, Source, Span};
use crate::session::Interrupt;
use crate::target::{DeviceFile, Discovered};

const CURRENT: &str = include_str!("../../fixtures/targets/conformance.json");
const LEGACY: &str = include_str!("../../fixtures/targets/conformance-0.9.1.json");
const EARLY: &str = include_str!("../../fixtures/targets/conformance-v8c.json");
const VERSION_8: &str = include_str!("../../fixtures/targets/conformance-v8.json");
const DEVICE: &str = include_str!("../../fixtures/devices/conformance.toml");

/// The target that cases are rehearsed against.
#[derive(Debug)]
pub struct PaperTarget {
    /// What it offers.
    pub discovered: Discovered,
    /// Its device file.
    pub device: DeviceFile,
}

/// The bundled description cannot be read, which a test excludes.
#[derive(Debug, thiserror::Error)]
#[error("the bundled description of the conformance device cannot be read: {0}")]
pub struct PaperError(String);

impl PaperTarget {
    /// The one that is compiled in for this version of the protocol.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn bundled(profile: Profile) -> Result<PaperTarget, PaperError> {
        let text = match profile {
            Profile::V0_9_2 => CURRENT,
            Profile::V0_9_1 => LEGACY,
            Profile::V8 => VERSION_8,
            Profile::V8C => EARLY,
        };
        let discovered = serde_json::from_str(text).map_err(|error| PaperError(error.to_string()))?;
        let device = DeviceFile::parse("conformance.toml", DEVICE).map_err(|error| PaperError(error.to_string()))?;
        Ok(PaperTarget { discovered, device })
    }

    /// Plays every case that applies against the model alone: what the model does not permit is an error of the case or
    /// of the model. Each with its file.
    pub fn rehearse(&self, plan: &Plan, interrupt: &Interrupt) -> Vec<(Arc<Source>, Diagnostic)> {
        let rehearsal = Rehearsal {
            dialect: self.discovered.profile.dialect(),
            discovered: &self.discovered,
            device: Some(&self.device),
            interrupt,
        };
        let mut errors: Vec<(Arc<Source>, Diagnostic)> = Vec::new();
        for case in plan.cases.iter().filter(|case| case.skip(&self.discovered).is_none()) {
            let found = rehearse(rehearsal, case).unwrap_or_else(|fault| {
                let span = Span { ..case.case.name.span };
                vec![Diagnostic::new(span, format!("the case cannot be played: {fault}"), case.name.clone())]
            });
            for error in found {
                // Every value of a parameter can meet the same line.
                let known = |(source, other): &(Arc<Source>, Diagnostic)| {
                    Arc::ptr_eq(source, &case.source) && other.span == error.span && other.message == error.message
                };
                if !errors.iter().any(known) {
                    errors.push((Arc::clone(&case.source), error.help(format!("found in {}", case.name))));
                }
            }
        }
        errors
    }
}
