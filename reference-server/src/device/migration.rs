//! The states of the device's migration, and the ways from one to another (specification 1669-1752).

use nix::errno::Errno;
use vfio_user_wire::device_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};

use super::state::{Load, Save};
use super::{Device, status};
use crate::memory::Memory;
use crate::without::Feature;

/// What the device can do in one step (1701-1729). Every other change is made of these.
const ARCS: [(u32, u32); 9] = [
    (RUNNING, STOP),
    (RUNNING, PRE_COPY),
    (STOP, RUNNING),
    (STOP, STOP_COPY),
    (STOP, RESUMING),
    (STOP_COPY, STOP),
    (RESUMING, STOP),
    (PRE_COPY, RUNNING),
    (PRE_COPY, STOP_COPY),
];

/// The states in which the device's state can be read; no path leads through them (1751-1752).
const SAVING: [u32; 2] = [PRE_COPY, STOP_COPY];

/// How far the migration of a device is.
#[derive(Debug)]
pub(crate) struct Migration {
    state: u32,
    stream: Stream,
}

/// The session in which the device's state is transferred.
#[derive(Debug)]
enum Stream {
    /// There is none.
    Closed,
    Saving(Save),
    Loading(Load),
}

impl Default for Migration {
    fn default() -> Self {
        Migration { state: RUNNING, stream: Stream::Closed }
    }
}

impl Device {
    /// One of [`device_state`](vfio_user_wire::device_state).
    pub(crate) fn state(&self) -> u32 {
        self.migration.state
    }

    /// It does DMA and raises interrupts. In all other states it does nothing of its own accord (1679-1689).
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.migration.state, RUNNING | PRE_COPY)
    }

    /// Brings the device into another state, by the shortest way; into the one that it is in without doing anything.
    ///
    /// # Errors
    /// EINVAL where no way leads there, and nothing has changed; or what one step failed with, which leaves the device in
    /// the state before it or in ERROR.
    pub(crate) fn change_state(&mut self, to: u32, memory: &mut dyn Memory) -> Result<(), Errno> {
        let pre_copy = !self.settings.lacks(Feature::PreCopy);
        for next in path(self.migration.state, to, pre_copy).ok_or(Errno::EINVAL)? {
            self.step(next, memory)?;
            self.migration.state = next;
        }
        Ok(())
    }

    /// The stream that MIG_DATA_READ reads.
    ///
    /// # Errors
    /// EINVAL where the device is not being saved.
    pub(crate) fn saving(&mut self, memory: &mut dyn Memory) -> Result<&mut Save, Errno> {
        // While the device runs, what it changes comes behind what was read.
        let changed = match &self.migration.stream {
            Stream::Saving(save) if self.migration.state == PRE_COPY && save.is_read() => Some(self.image(memory)?),
            _ => None,
        };
        let Stream::Saving(save) = &mut self.migration.stream else { return Err(Errno::EINVAL) };
        if let Some(image) = changed {
            save.add(image);
        }
        Ok(save)
    }

    /// The stream that MIG_DATA_WRITE writes.
    ///
    /// # Errors
    /// EINVAL where the device is not being restored.
    pub(crate) fn loading(&mut self) -> Result<&mut Load, Errno> {
        match &mut self.migration.stream {
            Stream::Loading(load) => Ok(load),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Ends the session in which the device is restored, where nothing came in it.
    pub(super) fn drop_blank_load(&mut self) {
        if self.loading().is_ok_and(|load| load.is_blank()) {
            self.migration.stream = Stream::Closed;
        }
    }

    /// One of the [`ARCS`].
    fn step(&mut self, next: u32, memory: &mut dyn Memory) -> Result<(), Errno> {
        if !matches!(next, RUNNING | PRE_COPY) && self.registers.dma_status == status::BUSY {
            // What the DMA engine is at does not wait for the device to run again.
            self.registers.dma_status = status::FAILED;
        }
        // Whatever else is done ends the session that there was (1706-1715); PRE_COPY -> STOP_COPY goes on with it (1724).
        let before = std::mem::replace(&mut self.migration.stream, Stream::Closed);
        self.migration.stream = match (next, before) {
            (PRE_COPY, _) => {
                let mut save = Save::new();
                save.add(self.image(memory)?);
                Stream::Saving(save)
            }
            (STOP_COPY, before) => {
                let mut save = if let Stream::Saving(save) = before { save } else { Save::new() };
                save.add(self.image(memory)?);
                save.end();
                Stream::Saving(save)
            }
            (RESUMING, _) => Stream::Loading(Load::new()),
            (STOP, Stream::Loading(load)) => {
                // 1709-1712: what does not make sense is no state that the device could be in.
                load.finish().and_then(|image| self.restore(image, memory)).inspect_err(|_| {
                    self.migration.state = ERROR;
                })?;
                Stream::Closed
            }
            _ => Stream::Closed,
        };
        Ok(())
    }
}

/// The states to go through, the last one included; `None` where no way leads there, or none may.
fn path(from: u32, to: u32, pre_copy: bool) -> Option<Vec<u32>> {
    // 1731-1732: this one is not allowed, though there would be a way round. 1734-1738: nothing leads into ERROR, not even from
    // there; and no arc leads out of it.
    if (from, to) == (STOP_COPY, PRE_COPY) || to == ERROR {
        return None;
    }
    let mut ways = vec![vec![from]];
    while !ways.is_empty() {
        // All of them are of one length, so that the first to arrive is a shortest one (1749).
        if let Some(way) = ways.iter().find(|way| way.last() == Some(&to)) {
            return way.get(1..).map(<[u32]>::to_vec);
        }
        ways = ways.iter().flat_map(|way| further(way, pre_copy)).collect();
    }
    None
}

/// The ways that are one step longer than this one and come by no state twice.
fn further(way: &[u32], pre_copy: bool) -> impl Iterator<Item = Vec<u32>> {
    let last = way.last().copied().unwrap_or(ERROR);
    let ends = way.len() > 1 && SAVING.contains(&last);
    // 1740: without PRE_COPY its arcs are not there.
    let steps = ARCS.into_iter().filter(move |arc| !ends && arc.0 == last && (pre_copy || arc.1 != PRE_COPY));
    steps.filter(|(_, next)| !way.contains(next)).map(move |(_, next)| [way, &[next]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [u32; 5] = [STOP, RUNNING, STOP_COPY, RESUMING, PRE_COPY];

    #[test]
    fn complex_transitions_take_the_shortest_way_that_saves_nothing_in_between() {
        let way = |from, to| path(from, to, true);
        assert_eq!(way(RUNNING, STOP_COPY), Some(vec![STOP, STOP_COPY]));
        assert_eq!(way(RUNNING, RESUMING), Some(vec![STOP, RESUMING]));
        assert_eq!(way(STOP, PRE_COPY), Some(vec![RUNNING, PRE_COPY]));
        assert_eq!(way(STOP_COPY, RUNNING), Some(vec![STOP, RUNNING]));
        assert_eq!(way(STOP_COPY, RESUMING), Some(vec![STOP, RESUMING]));
        assert_eq!(way(RESUMING, RUNNING), Some(vec![STOP, RUNNING]));
        assert_eq!(way(RESUMING, STOP_COPY), Some(vec![STOP, STOP_COPY]));
        assert_eq!(way(RESUMING, PRE_COPY), Some(vec![STOP, RUNNING, PRE_COPY]));
        assert_eq!(way(PRE_COPY, STOP), Some(vec![RUNNING, STOP]), "and not by STOP_COPY, which saves");
        assert_eq!(way(PRE_COPY, RESUMING), Some(vec![RUNNING, STOP, RESUMING]));
    }

    #[test]
    fn arcs_are_taken_as_they_are() {
        for (from, to) in ARCS {
            assert_eq!(path(from, to, true), Some(vec![to]));
        }
        for state in STATES {
            assert_eq!(path(state, state, true), Some(vec![]));
        }
    }

    #[test]
    fn what_is_no_state_or_not_allowed_has_no_way() {
        for from in STATES {
            for to in [ERROR, 5, 7, 8, u32::MAX] {
                assert_eq!(path(from, to, true), None, "{from} to {to}");
            }
            assert_eq!(path(ERROR, from, true), None, "ERROR to {from}");
        }
        assert_eq!(path(ERROR, ERROR, true), None);
        assert_eq!(path(STOP_COPY, PRE_COPY, true), None);
    }

    #[test]
    fn without_pre_copy_its_arcs_are_removed() {
        for from in [STOP, RUNNING, STOP_COPY, RESUMING] {
            assert_eq!(path(from, PRE_COPY, false), None);
        }
        assert_eq!(path(RUNNING, STOP_COPY, false), Some(vec![STOP, STOP_COPY]));
    }
}
