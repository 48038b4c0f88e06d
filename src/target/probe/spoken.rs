//! Which version of the protocol a server speaks, by what it serves: VERSION has the same number in most of them.

use std::cell::RefCell;

use vfio_user_wire::dirty_pages_flags::{START, STOP};
use vfio_user_wire::message::{
    DEVICE_FEATURE, DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DeviceFeature, DeviceInfo, IrqInfo,
};
use vfio_user_wire::{feature_flags, feature_index, irq_info_flags};

use super::asker::{Asked, Asker, Question, Trouble};
use super::dma::{takes_maps, takes_unmap};
use super::legacy::ask_action;
use super::{ProbeError, no_version};
use crate::Profile;
use crate::run::Timeouts;
use crate::session::{Deadline, Interrupt};
use crate::target::Launcher;

/// The version that a server is to be judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The version.
    pub profile: Profile,
    /// What says so, for people.
    pub why: String,
}

/// Finds out which version is spoken. An older one is found only where something is served that no later version has, so
/// that a server is never judged by clauses that it does not claim.
///
/// # Errors
/// Where the server cannot be started or reached, never negotiates, or the user wants to stop.
pub fn spoken(launcher: &Launcher, timeouts: Timeouts, interrupt: &Interrupt) -> Result<Spoken, ProbeError> {
    let until = Deadline::after(timeouts.whole());
    // What becomes of a question of another version is not told.
    let unanswered = RefCell::default();
    let asker = |profile: Profile| {
        let (dialect, unanswered) = (profile.dialect(), &unanswered);
        Asker { dialect, launcher, timeouts, interrupt, until, unanswered }
    };
    let is = |profile, why: &str| Ok(Spoken { profile, why: why.to_owned() });
    // Each question has a server of its own: one that cannot bear it shall answer the others.
    let asks = |profile, question: fn(&mut Question<'_>) -> Asked<bool>| {
        let mut session = asker(profile).connect()?;
        session.version().map_err(no_version)?;
        match question(&mut session) {
            Ok(answer) => Ok(answer),
            Err(Trouble::Stop(error)) => Err(error),
            Err(Trouble::Answer(_) | Trouble::Absent) => Ok(false),
        }
    };
    if asks(Profile::V0_9_2, has_features)? {
        return is(Profile::V0_9_2, "it serves DEVICE_FEATURE");
    }
    if asks(Profile::V0_9_2, has_interrupts)? {
        let by_new_number = asks(Profile::V0_9_2, tells_an_interrupt)?;
        if !by_new_number && asks(Profile::V8, tells_an_interrupt)? {
            return is(Profile::V8, "it tells of its interrupts by command 6, as version 8 alone does");
        }
    }
    if asks(Profile::V0_9_1, logs_dirty_pages)? || asks(Profile::V8C, logs_dirty_pages)? {
        if !asks(Profile::V0_9_1, maps_and_unmaps)? && asks(Profile::V8C, maps_and_unmaps)? {
            return is(Profile::V8C, "it serves DIRTY_PAGES, and takes tables in DMA_MAP and DMA_UNMAP");
        }
        return is(Profile::V0_9_1, "it serves DIRTY_PAGES");
    }
    is(Profile::V0_9_2, "it serves nothing that only older versions have")
}

fn has_features(question: &mut Question<'_>) -> Asked<bool> {
    let get = DeviceFeature { argsz: 16, flags: feature_flags::GET | u32::from(feature_index::MIGRATION) };
    Ok(question.ask(DEVICE_FEATURE.name, get.bytes(), &[])?.is_ok())
}

/// The numbers of interrupt types were told, and there are some.
fn has_interrupts(question: &mut Question<'_>) -> Asked<bool> {
    let request = DeviceInfo { argsz: 16, ..DeviceInfo::default() };
    let reply = match question.ask(DEVICE_GET_INFO.name, request.bytes(), &[])? {
        Ok(reply) => reply,
        // Version 8 has no payload here.
        Err(_) => question.ok(DEVICE_GET_INFO.name, &[], &[])?,
    };
    Ok(DeviceInfo::parse(&reply.payload).is_some_and(|(info, _)| info.num_irqs > 0))
}

/// DEVICE_GET_IRQ_INFO with the number that it has in this version. In others that is DEVICE_GET_REGION_IO_FDS, whose reply
/// looks the same but for its flags, which are 0.
fn tells_an_interrupt(question: &mut Question<'_>) -> Asked<bool> {
    let request = IrqInfo { argsz: 16, ..IrqInfo::default() };
    let answer = question.ask(DEVICE_GET_IRQ_INFO.name, request.bytes(), &[])?;
    let tells = |info: IrqInfo| info.count > 0 && info.flags & irq_info_flags::EVENTFD != 0;
    Ok(answer.is_ok_and(|reply| IrqInfo::parse(&reply.payload).is_some_and(|(info, _)| tells(info))))
}

/// What is started is stopped again, for a server that goes on.
fn logs_dirty_pages(question: &mut Question<'_>) -> Asked<bool> {
    let started = ask_action(question, START)?.is_none();
    if started {
        // Its answer tells no more.
        let _ = ask_action(question, STOP)?;
    }
    Ok(started)
}

/// The map alone tells nothing: read as a table, that of 0.9.1 is one region without a byte, which servers took.
fn maps_and_unmaps(question: &mut Question<'_>) -> Asked<bool> {
    const PAGE: u64 = 4096;
    Ok(takes_maps(question, PAGE)? && takes_unmap(question, PAGE)?)
}
