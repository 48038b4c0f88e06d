//! Whether the device may be stopped, and what is owed where it is not.

use nix::errno::Errno;
use pretty_assertions::assert_eq;
use vfio_user_wire::device_state::{RUNNING, STOP};
use vfio_user_wire::feature::MigDeviceState;
use vfio_user_wire::irq_set_flags::{ACTION_TRIGGER, DATA_EVENTFD};
use vfio_user_wire::message::{DeviceFeature, IrqSet};
use vfio_user_wire::{feature_flags, feature_index, migration_flags};

use super::rulings_tests::{after, command, offer};
use super::{Command, FdKind, Offer, PassedFd, Session, samples};

fn set(device_state: u32) -> Command {
    let flags = feature_flags::SET | u32::from(feature_index::MIG_DEVICE_STATE);
    let state = MigDeviceState { device_state, data_fd: 0 };
    command("DEVICE_FEATURE", &[DeviceFeature { argsz: 16, flags }.bytes(), state.bytes()].concat(), &[])
}

/// A device that was led through these states.
fn led(states: &[u32]) -> Session {
    let offer = Offer { migration_flags: Some(migration_flags::STOP_COPY), ..offer() };
    after(offer, &states.iter().map(|state| set(*state)).collect::<Vec<_>>())
}

/// One of which nobody knows whether it was stopped.
fn perhaps_stopped() -> Session {
    let mut session = led(&[]);
    samples::exchange(&mut session, 10, set(STOP), Err(Errno::EIO));
    session
}

#[test]
fn a_device_that_is_left_alone_runs() {
    assert!(!led(&[]).may_be_stopped() && !led(&[STOP, RUNNING]).may_be_stopped());
    assert!(led(&[STOP]).may_be_stopped() && perhaps_stopped().may_be_stopped());
}

#[test]
fn clients_that_meet_find_each_others_state() {
    let meets = |mut first: Session, mut second: Session| {
        second.meet(&mut first);
        (first.may_be_stopped(), second.may_be_stopped())
    };
    assert_eq!(meets(led(&[]), led(&[])), (false, false));
    assert_eq!(meets(led(&[STOP]), led(&[])), (true, true));
    assert_eq!(meets(led(&[]), led(&[STOP])), (true, true));
}

#[test]
fn an_interrupt_is_signalled_until_that_is_looked_at() {
    let assign = IrqSet { argsz: 20, flags: DATA_EVENTFD | ACTION_TRIGGER, index: 1, start: 0, count: 1 };
    let assign = command("DEVICE_SET_IRQS", assign.bytes(), &[PassedFd { id: 7, kind: FdKind::Eventfd }]);
    let count = |session: &Session| session.signals(7).map(|signals| (signals.least.0, signals.most.0));
    let raised = |mut session: Session| {
        samples::exchange(&mut session, 20, assign.clone(), Ok(Vec::new()));
        session.raised(1, 0);
        session
    };
    let mut runs = raised(led(&[]));
    assert_eq!(count(&runs), Some((1, 1)));
    runs.looked_at(7);
    assert_eq!(count(&runs), Some((0, 0)));
    assert_eq!(count(&raised(perhaps_stopped())), Some((0, 1)));
}
