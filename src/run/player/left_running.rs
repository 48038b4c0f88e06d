//! A device that outlives the case is left running, whatever state of migration the case brought it into.

use vfio_user_wire::feature::MigDeviceState;
use vfio_user_wire::message::{DEVICE_FEATURE, DEVICE_RESET, DeviceFeature};
use vfio_user_wire::{Frame, device_state, feature_flags, feature_index};

use super::{Player, Stop};
use crate::session::{Effect, Origin, Passed};

impl Player<'_> {
    /// Where no server is started for each case: the next case would meet a device that is stopped. What comes of it is
    /// judged by nobody.
    pub(super) fn leave_running(&mut self) {
        self.take_judged();
        for end in 0..self.talk.ends.len() {
            let open = self.talk.ends.get(end).is_some_and(|end| end.connection.is_some() && !end.unfinished);
            if open && self.instance_of(end).is_shared() && self.talk.ended(end).is_none() {
                // The case is over; a server that does not answer now is found by the next one.
                let _ = self.run_again(end);
            }
        }
        self.talk.judged.clear();
    }

    fn run_again(&mut self, end: usize) -> Result<(), Stop> {
        let data = MigDeviceState { device_state: device_state::RUNNING, data_fd: 0 };
        let flags = feature_flags::SET | u32::from(feature_index::MIG_DEVICE_STATE);
        let head = DeviceFeature { argsz: (DeviceFeature::LAYOUT.size + MigDeviceState::LAYOUT.size) as u32, flags };
        let tries = [(DEVICE_FEATURE.name, [head.bytes(), data.bytes()].concat()), (DEVICE_RESET.name, Vec::new())];
        for (name, payload) in tries {
            if !self.talk.ends.get(end).is_some_and(|end| end.session.may_be_stopped()) {
                return Ok(());
            }
            let Some((number, _)) = self.talk.dialect.command(name) else { continue };
            let frame = Frame::command(self.talk.fresh_id(end), number, payload);
            let index = self.talk.expect(end, Origin::default(), &frame, Passed::default(), Effect::None);
            self.transmit(end, &frame)?;
            self.wait_for(index)?;
        }
        Ok(())
    }
}
