//! The questions about features: whether the device can be migrated, and whether it logs its DMA.

use vfio_user_wire::feature::{DmaLoggingStart, Migration};
use vfio_user_wire::message::{DEVICE_FEATURE, DeviceFeature};
use vfio_user_wire::{feature_flags, feature_index, migration_flags};

use super::asker::{Asked, Question, Trouble};
use crate::case::error_text;
use crate::target::Discovered;

pub(super) fn ask_migration(question: &mut Question<'_>, found: &mut Discovered) -> Asked<()> {
    for word in ["migration", "no-migration", "pre-copy", "no-pre-copy"] {
        found.no(word, "it has no answer to GET of MIGRATION");
    }
    let size = (DeviceFeature::LAYOUT.size + Migration::LAYOUT.size) as u32;
    let payload = match ask(question, size, feature_index::MIGRATION, feature_flags::GET, &[])? {
        Ok(payload) => payload,
        Err(errno) => {
            let why = format!("GET of MIGRATION was refused with {}", error_text(errno));
            for word in ["migration", "pre-copy", "no-pre-copy"] {
                found.no(word, &why);
            }
            found.yes("no-migration", &[]);
            return Ok(());
        }
    };
    let data = DeviceFeature::parse(&payload).and_then(|(_, data)| Migration::parse(data));
    let Some((migration, _)) = data else {
        return Err(Trouble::Answer(format!("it was answered with {} bytes of payload", payload.len())));
    };
    found.migration_flags = Some(migration.flags);
    found.no("no-migration", "the target has migration");
    found.yes("migration", &[]);
    if migration.flags & migration_flags::PRE_COPY != 0 {
        found.yes("pre-copy", &[]);
        found.no("no-pre-copy", "the target has PRE_COPY");
    } else {
        found.no("pre-copy", "the flags of MIGRATION do not have PRE_COPY");
        found.yes("no-pre-copy", &[]);
    }
    Ok(())
}

/// By doing it, since a server may log and not know PROBE, which is no more than a note.
pub(super) fn ask_logging(question: &mut Question<'_>, found: &mut Discovered) -> Asked<()> {
    for word in ["dma-logging", "no-dma-logging"] {
        found.no(word, "it has no answer to SET of DMA_LOGGING_START");
    }
    let start = DmaLoggingStart { page_size: 4096, num_ranges: 0, reserved: 0 };
    let size = (DeviceFeature::LAYOUT.size + DmaLoggingStart::LAYOUT.size) as u32;
    match ask(question, size, feature_index::DMA_LOGGING_START, feature_flags::SET, start.bytes())? {
        Ok(_) => {
            found.dma_logging = true;
            found.yes("dma-logging", &[]);
            found.no("no-dma-logging", "the target logs DMA");
        }
        Err(errno) => {
            found.no("dma-logging", &format!("SET of DMA_LOGGING_START was refused with {}", error_text(errno)));
            found.yes("no-dma-logging", &[]);
        }
    }
    Ok(())
}

fn ask(
    question: &mut Question<'_>,
    argsz: u32,
    index: u16,
    operation: u32,
    data: &[u8],
) -> Asked<Result<Vec<u8>, u32>> {
    let head = DeviceFeature { argsz, flags: operation | u32::from(index) };
    let answer = question.ask(DEVICE_FEATURE.name, &[head.bytes(), data].concat(), &[])?;
    Ok(answer.map(|reply| reply.payload))
}
