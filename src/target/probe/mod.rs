//! Asks a target what it offers.
//!
//! Each group of questions has a server of its own, so that one that kills the server leaves the others their answers.

mod asker;
mod dma;
mod facts;
mod features;
mod io_fds;
mod irqs;
mod legacy;
mod regions;
mod spoken;

use std::cell::RefCell;
use std::io;

use serde_json::Value;
use vfio_user_wire::legacy::DIRTY_PAGES;
use vfio_user_wire::message::{DEVICE_FEATURE, DEVICE_GET_INFO, DeviceInfo, Version};
use vfio_user_wire::{VersionData, device_info_flags};

use self::asker::{Asker, Question};
pub use self::facts::NO_DEVICE_FILE;
pub(super) use self::facts::{MOST_DATA, SCRATCH};
pub use self::spoken::{Spoken, spoken};
use super::{DeviceFile, Discovered, Launcher, StartError};
use crate::Profile;
use crate::case::NEEDS;
use crate::run::Timeouts;
use crate::session::{Deadline, Interrupt};
use crate::verdict::Exit;

/// Why nothing can be learnt of a target.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It cannot be started or reached.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It does not negotiate.
    #[error("the server never negotiates: {0}")]
    NoVersion(String),
    /// What one case leaves the next one would meet.
    #[error(
        "the server keeps the maps of a client that left, as version 8 asks of it: a case would meet what another one left; \
         let it be started for each case, with --spawn"
    )]
    Keeps,
    /// A fault of ours.
    #[error("could not ask the server: {0}")]
    Ours(#[from] io::Error),
    /// The user wants to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Asks everything.
///
/// # Errors
/// Only where nothing can be learnt at all; a question that goes wrong is one of the `troubles`.
pub fn probe(
    profile: Profile,
    launcher: &Launcher,
    device: Option<&DeviceFile>,
    timeouts: Timeouts,
    interrupt: &Interrupt,
) -> Result<Discovered, ProbeError> {
    let until = Deadline::after(timeouts.whole());
    let unanswered = RefCell::default();
    let asker = Asker { dialect: profile.dialect(), launcher, timeouts, interrupt, until, unanswered: &unanswered };
    let mut found = Discovered { profile, capabilities: Value::Null, ..Discovered::default() };
    version(&asker, &mut found)?;
    asker.group("DEVICE_GET_INFO", &mut found, device_info)?;
    asker.group("DEVICE_GET_REGION_INFO", &mut found, regions::ask)?;
    asker.group("DEVICE_GET_REGION_IO_FDS", &mut found, io_fds::ask)?;
    asker.group("DEVICE_GET_IRQ_INFO", &mut found, irqs::ask)?;
    irqs::ask_triggers(&asker, &mut found)?;
    if launcher.runs_already() && profile == Profile::V8 && dma::keeps(&asker, &mut found)? {
        return Err(ProbeError::Keeps);
    }
    dma::ask(&asker, &mut found)?;
    // What this version does not have is not asked for: no server is started for it.
    if asker.has(&DEVICE_FEATURE) {
        asker.group("MIGRATION", &mut found, features::ask_migration)?;
        asker.group("DMA_LOGGING_START", &mut found, features::ask_logging)?;
    } else {
        let words = ["migration", "no-migration", "pre-copy", "no-pre-copy", "dma-logging", "no-dma-logging"];
        found.not_in_profile(&words, DEVICE_FEATURE.name);
    }
    if asker.has(&DIRTY_PAGES) {
        asker.group("DIRTY_PAGES", &mut found, legacy::ask_dirty_pages)?;
    } else {
        found.not_in_profile(&["dirty-pages", "no-dirty-pages"], DIRTY_PAGES.name);
    }
    legacy::conclude(profile, device, &mut found);
    twin_socket(&asker, &mut found)?;
    reconnect(&asker, &mut found)?;
    facts::conclude(launcher, device, &mut found);
    found.unanswered = unanswered.take();
    for need in NEEDS {
        found
            .has
            .entry(need.word.to_owned())
            .or_insert_with(|| super::Has::No(format!("the target has no {}", need.meaning)));
    }
    Ok(found)
}

/// Without an answer to VERSION nothing can be learnt.
fn no_version(trouble: asker::Trouble) -> ProbeError {
    match trouble {
        asker::Trouble::Answer(why) => ProbeError::NoVersion(why),
        asker::Trouble::Absent => ProbeError::NoVersion("this version of the protocol has none".to_owned()),
        asker::Trouble::Stop(error) => error,
    }
}

fn version(asker: &Asker<'_>, found: &mut Discovered) -> Result<(), ProbeError> {
    let mut question = asker.connect()?;
    let payload = question.version().map_err(no_version)?;
    if let Some((version, data)) = Version::parse(&payload) {
        found.version = Some((version.major, version.minor));
        match VersionData::parse(data) {
            Ok(data) => {
                let stated = data.number("max_dma_maps").is_some();
                let multiple = data.capability("write_multiple") == Some(&Value::Bool(true));
                for (has, word, opposite, name) in [
                    (stated, "map-limit", "no-map-limit", "max_dma_maps"),
                    (multiple, "write-multi", "no-write-multi", "write_multiple"),
                ] {
                    let (yes, no, with) = if has { (word, opposite, "with") } else { (opposite, word, "without") };
                    found.yes(yes, &[]);
                    found.no(no, &format!("VERSION is answered {with} {name}"));
                }
                found.capabilities = Value::Object(data.object);
            }
            Err(error) => found.troubles.push(format!("VERSION: {error}")),
        }
    }
    Ok(())
}

fn twin_socket(asker: &Asker<'_>, found: &mut Discovered) -> Result<(), ProbeError> {
    match asker.connect()?.twin_socket() {
        Ok(true) => found.yes("twin-socket", &[]),
        Ok(false) => found.no("twin-socket", "VERSION is answered without a twin socket"),
        Err(asker::Trouble::Answer(why)) => found.troubles.push(format!("twin_socket: {why}")),
        Err(asker::Trouble::Absent) => {}
        Err(asker::Trouble::Stop(error)) => return Err(error),
    }
    Ok(())
}

fn device_info(question: &mut Question<'_>, found: &mut Discovered) -> asker::Asked<()> {
    let request = DeviceInfo { argsz: 16, ..DeviceInfo::default() };
    // Version 8 asks without a payload.
    let known = question.dialect().command(DEVICE_GET_INFO.name);
    let asked = known.map_or(0, |(_, message)| message.request.fixed_size()).min(request.bytes().len());
    let answer = match question.ask(DEVICE_GET_INFO.name, &request.bytes()[..asked], &[])? {
        Err(_) if asked == 0 => {
            found.later_info = true;
            let answer = question.venture(DEVICE_GET_INFO.name, request.bytes(), &[])?;
            answer.map_err(|errno| asker::refusal(DEVICE_GET_INFO.name, errno))?
        }
        _ => question.ok(DEVICE_GET_INFO.name, &request.bytes()[..asked], &[])?,
    };
    let Some((info, _)) = DeviceInfo::parse(&answer.payload) else {
        return Err(asker::Trouble::Answer(format!(
            "DEVICE_GET_INFO was answered with {} bytes of payload",
            answer.payload.len()
        )));
    };
    found.device_flags = Some(info.flags);
    found.num_regions = info.num_regions;
    found.num_irqs = info.num_irqs;
    if info.flags & device_info_flags::PCI != 0 {
        found.yes("pci", &[]);
    }
    found.no("no-reset", "the target has DEVICE_RESET");
    if info.flags & device_info_flags::RESET != 0 {
        found.yes("reset", &[]);
    } else {
        found.yes("no-reset", &[]);
    }
    Ok(())
}

/// Whether the server accepts again after a disconnect, or ends.
fn reconnect(asker: &Asker<'_>, found: &mut Discovered) -> Result<(), ProbeError> {
    let mut question = asker.connect()?;
    match question.version() {
        Ok(_) => {}
        Err(asker::Trouble::Stop(error)) => return Err(error),
        Err(_) => return Ok(()),
    }
    let Some(mut instance) = question.into_instance() else { return Ok(()) };
    // With a server that runs already, the next connection can only be tried. Most servers that serve one session end
    // at once; one that stays is asked without waiting long.
    if instance.wait(Deadline::after(asker.timeouts.settle), asker.interrupt).is_some() {
        found.yes("exits", &[]);
        found.no("reconnect", "the server ends after a disconnect");
        asker.launcher.end(instance);
        return Ok(());
    }
    let (served, ended) = match asker.again(instance) {
        Ok(mut question) => match question.version() {
            Err(asker::Trouble::Stop(error)) => return Err(error),
            Ok(_) => (true, false),
            Err(_) => (false, question.has_ended()),
        },
        // It took longer over that.
        Err(ProbeError::Start(
            StartError::Ended { exit: Exit::Status(_), .. } | StartError::Returned { exit: Exit::Status(_), .. },
        )) => (false, true),
        Err(error @ (ProbeError::Ours(_) | ProbeError::Interrupted | ProbeError::Start(StartError::Ours(_)))) => {
            return Err(error);
        }
        Err(_) => (false, false),
    };
    if served {
        found.yes("reconnect", &[]);
    } else if ended {
        found.no("reconnect", "the server ends after a disconnect");
    } else {
        found.no("reconnect", "the server does not serve a second client");
    }
    if ended {
        found.yes("exits", &[]);
    } else {
        found.no("exits", "the server goes on after a disconnect");
    }
    Ok(())
}
