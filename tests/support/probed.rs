//! A target that was probed, and what playing against it takes.
#![allow(dead_code, reason = "helpers of tests, of which each uses some")]

use std::sync::LazyLock;

use vfio_user_conformance::Profile;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Context, Timeouts};
use vfio_user_conformance::session::Interrupt;
use vfio_user_conformance::target::{DeviceFile, Discovered, Launcher, Target, probe};

pub(crate) static REGISTER: LazyLock<Register> = LazyLock::new(|| Register::bundled().unwrap());

/// A target that was probed, with the device file of the conformance device.
pub(crate) struct Probed {
    pub(crate) launcher: Launcher,
    pub(crate) discovered: Discovered,
    pub(crate) device: DeviceFile,
    pub(crate) timeouts: Timeouts,
    pub(crate) interrupt: Interrupt,
}

impl Probed {
    pub(crate) fn new(target: Target, timeouts: Timeouts) -> Probed {
        Probed::of(Profile::V0_9_2, target, timeouts)
    }

    /// A target that speaks this version.
    pub(crate) fn of(profile: Profile, target: Target, timeouts: Timeouts) -> Probed {
        let text = include_str!("../../fixtures/devices/conformance.toml");
        let device = DeviceFile::parse("conformance.toml", text).unwrap();
        Probed::with(profile, target, timeouts, device)
    }

    /// A target with another device.
    pub(crate) fn with(profile: Profile, target: Target, timeouts: Timeouts, device: DeviceFile) -> Probed {
        let interrupt = Interrupt::new().unwrap();
        let launcher = Launcher::new(target, timeouts.start, false).unwrap();
        let discovered = probe(profile, &launcher, Some(&device), timeouts, &interrupt).unwrap();
        Probed { launcher, discovered, device, timeouts, interrupt }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            profile: self.discovered.profile,
            register: &REGISTER,
            launcher: &self.launcher,
            discovered: &self.discovered,
            device: Some(&self.device),
            timeouts: self.timeouts,
            interrupt: &self.interrupt,
        }
    }
}
