//! `server`: further servers of the target, each with a client of its own.

use std::time::Duration;

use crate::session::{Deadline, usual_proposal};
use crate::target::{Instance, StartError};

use super::{Player, Stop};

impl Player<'_> {
    /// Starts a further server and negotiates with it. That there can be a second one is no requirement.
    pub(super) fn start_further(&mut self, name: &str) -> Result<(), Stop> {
        let refused = |error: StartError| match error.into() {
            Stop::Lost(why) => Stop::Skip(format!("there is no further server: {why}")),
            other => other,
        };
        let mut instance = self.context.launcher.start().map_err(refused)?;
        let connection = instance.connect(self.context.interrupt).map_err(refused);
        self.further.push(instance);
        let server = self.further.len();
        let end = self.add(server, name, Some(connection?));
        self.negotiate(end, usual_proposal(self.talk.dialect))
    }

    /// The server that an end is connected to.
    pub(super) fn instance_of(&mut self, end: usize) -> &mut Instance {
        self.instance(self.talk.ends.get(end).map_or(0, |end| end.server))
    }

    /// The server of the case, and from 1 on those of its `server` lines.
    pub(super) fn instance(&mut self, server: usize) -> &mut Instance {
        match server.checked_sub(1).and_then(|further| self.further.get_mut(further)) {
            Some(instance) => instance,
            None => &mut self.instance,
        }
    }

    /// What all servers printed.
    pub(super) fn printed(&mut self) -> String {
        let all = std::iter::once(&mut self.instance).chain(&mut self.further);
        all.map(|instance| instance.output(Deadline::after(Duration::ZERO))).collect()
    }
}
