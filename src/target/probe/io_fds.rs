//! The sub-regions that have descriptors.

use vfio_user_wire::message::{DEVICE_GET_REGION_IO_FDS, RegionIoFds};

use super::asker::{Asked, Question, Trouble};
use crate::case::error_text;
use crate::target::{Discovered, IoFds};

/// Room for all sub-regions that a region may have.
const ROOM: u32 = 4096;

/// Every region that is there.
pub(super) fn ask(question: &mut Question<'_>, found: &mut Discovered) -> Asked<()> {
    for word in ["io-fds", "no-io-fds"] {
        found.no(word, "it has no answer to DEVICE_GET_REGION_IO_FDS");
    }
    let mut refused = None;
    let mut answered = false;
    let present: Vec<u32> = found.regions.iter().filter(|region| region.size > 0).map(|region| region.index).collect();
    for region in present {
        let request = RegionIoFds { argsz: ROOM, index: region, ..RegionIoFds::default() };
        let reply = match question.ask(DEVICE_GET_REGION_IO_FDS.name, request.bytes(), &[])? {
            Ok(reply) => reply,
            Err(errno) => {
                refused.get_or_insert(errno);
                continue;
            }
        };
        answered = true;
        let Some((info, _)) = RegionIoFds::parse(&reply.payload) else {
            let why = format!("region {region}: a reply with {} bytes of payload", reply.payload.len());
            return Err(Trouble::Answer(why));
        };
        if info.count > 0 {
            found.io_fds.push(IoFds { region, argsz: info.argsz, count: info.count, fds: reply.fds.len() });
        }
    }
    let why = match refused {
        Some(errno) if !answered => format!("DEVICE_GET_REGION_IO_FDS was refused with {}", error_text(errno)),
        _ => "no region of the target has sub-regions with descriptors".to_owned(),
    };
    found.no("io-fds", &why);
    if let Some(IoFds { region, argsz, count, fds }) = found.io_fds.first().cloned() {
        let names = [
            ("iofds.region", u64::from(region)),
            ("iofds.argsz", u64::from(argsz)),
            ("iofds.count", u64::from(count)),
            ("iofds.fds", fds as u64),
        ];
        found.yes("io-fds", &names);
    }
    if answered {
        found.no("no-io-fds", "the target has DEVICE_GET_REGION_IO_FDS");
    } else if refused.is_some() {
        found.yes("no-io-fds", &[]);
    }
    Ok(())
}
