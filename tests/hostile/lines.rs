//! Answers that keep a later line from being carried out: that is nobody's fault, and none of the harness.

use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::unistd::ftruncate;
use vfio_user_conformance::Profile;
use vfio_user_conformance::run::Timeouts;
use vfio_user_conformance::session::Interrupt;
use vfio_user_conformance::target::{Launcher, Target, probe};
use vfio_user_conformance::verdict::CaseResult;
use vfio_user_wire::message::Version;

use crate::bounds::{Answer, Answering, Held, called, reply, usual};

/// Each by its name.
pub(crate) const LINES: [(&str, Held); 5] = [
    ("a field that did not come", field_that_did_not_come),
    ("numbers too large for a line", large_numbers),
    ("memory that is cut off by the server", memory_cut_off),
    ("memory that is sealed by the server", memory_sealed),
    ("a page larger than any file", large_pages),
];

/// The case is skipped, and says why; the answers alone may be at fault.
fn is_skipped(answer: Answer, lines: &str, why: &str) -> Result<(), String> {
    let text = format!("case a.b\nneeds dma\n{lines}> DEVICE_GET_INFO\n< ok [INFO-01]\n");
    let record = called(answer, &text, &["dma"])?;
    let said = record.reason.clone().unwrap_or_default();
    let skipped = matches!(record.result, CaseResult::Skip | CaseResult::Fail);
    if skipped && (said.contains(why) || record.result == CaseResult::Fail) {
        Ok(())
    } else {
        Err(format!("{:?}: {said}", record.result))
    }
}

fn field_that_did_not_come() -> Result<(), String> {
    let answer: Answer = |frame, fds| match frame.header.command {
        4 => (reply(frame, vec![16, 0, 0, 0]), 1),
        _ => usual(frame, fds),
    };
    is_skipped(answer, "> info: DEVICE_GET_INFO\n< info: ok\nlet n = {info.num_regions}\n", "`info` has no num_regions")
}

fn large_numbers() -> Result<(), String> {
    let lines = [
        ("> DEVICE_RESET times={target.max_dma_maps}\n", "are too many"),
        ("let ram = memfd {target.max_dma_maps}\n", "there is no file of"),
        ("let event = eventfd {target.max_dma_maps}\n", "no eventfd counts to"),
        ("> DEVICE_GET_REGION_INFO index={target.max_dma_maps}+1\n", "does not fit"),
        ("> REGION_READ region=0 offset=0 count=4 payload={target.max_dma_maps}\n", "there is no payload of"),
        ("> REGION_WRITE region=0 offset=0 data=fill:0:{target.max_dma_maps}\n", "there is no block of"),
    ];
    lines.into_iter().try_for_each(|(line, why)| is_skipped(usual, line, why))
}

fn memory_cut_off() -> Result<(), String> {
    let answer: Answer = |frame, fds| {
        fds.iter().for_each(|file| ftruncate(file, 0).unwrap());
        if frame.header.command == 2 { (reply(frame, Vec::new()), 1) } else { usual(frame, fds) }
    };
    let lines =
        "let ram = memfd 0x1000\n> DMA_MAP address=0x1000 size=0x1000 fd=ram\n< ok\n< ram[0..4] == hex:00000000\n";
    is_skipped(answer, lines, "it was cut off")
}

fn memory_sealed() -> Result<(), String> {
    let answer: Answer = |frame, fds| {
        fds.iter().for_each(|file| _ = fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::all())).unwrap());
        if frame.header.command == 2 { (reply(frame, Vec::new()), 1) } else { usual(frame, fds) }
    };
    let lines = "let ram = memfd 0x1000\n> DMA_MAP address=0x1000 size=0x1000 fd=ram\n< ok\n";
    is_skipped(answer, &format!("{lines}< seal ram ok\n"), "has sealed the memory")?;
    is_skipped(answer, &format!("{lines}truncate ram 0\n"), "cannot be truncated")
}

fn large_pages() -> Result<(), String> {
    let answer: Answer = |frame, fds| match frame.header.command {
        1 => {
            let data = format!("{{\"capabilities\":{{\"pgsizes\":{}}}}}\0", 1u64 << 63);
            (reply(frame, [Version { major: 0, minor: 0 }.bytes(), data.as_bytes()].concat()), 1)
        }
        2 => (reply(frame, Vec::new()), 1),
        _ => usual(frame, fds),
    };
    let launcher = Launcher::new(Target::Direct(Arc::new(Answering(answer, 0))), Duration::from_secs(1), false);
    let launcher = launcher.map_err(|error| error.to_string())?;
    let interrupt = Interrupt::new().map_err(|error| error.to_string())?;
    let found = probe(Profile::V0_9_2, &launcher, None, Timeouts::default(), &interrupt);
    let found = found.map_err(|error| error.to_string())?;
    let said = found.troubles.iter().any(|trouble| trouble.contains("there is no file of"));
    if said { Ok(()) } else { Err(format!("{:?}", found.troubles)) }
}
