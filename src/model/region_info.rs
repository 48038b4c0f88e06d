//! What holds for every successful reply to DEVICE_GET_REGION_INFO.

use vfio_user_wire::message::RegionInfo;
use vfio_user_wire::region_info_flags::{CAPS, MMAP};
use vfio_user_wire::{region, region_capability};

use super::edition::Edition;
use super::judgement::payload_mark;
use super::{Command, Judgements, Negotiated, Reply, capabilities, legacy};

const FIXED: u64 = 32;

pub(super) fn judge(
    edition: Edition,
    command: &Command,
    reply: &Reply<'_>,
    negotiated: &Negotiated,
    out: &mut Judgements,
) {
    let Some((info, _)) = RegionInfo::parse(reply.payload) else { return };
    let mark = |name| RegionInfo::LAYOUT.field(name).and_then(payload_mark);
    let (argsz, flags, index, size, cap_offset) = (info.argsz, info.flags, info.index, info.size, info.cap_offset);
    let payload = reply.payload.len() as u64;
    let request = command.request();

    if let Some(asked) = request.get("index") {
        out.must(
            "REGINFO-03",
            u64::from(index) == asked,
            &format!("index {asked}, as in the request"),
            || format!("index {index}"),
            mark("index"),
        );
    }
    out.should(
        "REGINFO-19",
        flags & !0xf == 0,
        "only bits 0-3 in flags",
        || format!("flags {flags:#x}"),
        mark("flags"),
    );
    if size == 0 {
        out.should(
            "REGINFO-17",
            flags == 0,
            "flags 0 for a region of size 0",
            || format!("flags {flags:#x}"),
            mark("flags"),
        );
    }
    // Zeroes behind what argsz counts are padding.
    let counted = reply.payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    let expected = format!("argsz of at least the {counted} bytes that this payload holds");
    out.must(
        "REGINFO-02",
        u64::from(argsz) >= counted.max(FIXED),
        &expected,
        || format!("argsz {argsz}"),
        mark("argsz"),
    );
    // Below the fixed part both the whole fixed part and an error conform (policy A-01).
    let ceiling = request.get("argsz").filter(|argsz| *argsz >= FIXED);
    if let Some(ceiling) = ceiling {
        let expected = format!("at most {ceiling} bytes of payload, the request's argsz");
        out.must(
            "MSZ-01",
            payload <= ceiling,
            &expected,
            || format!("{payload} bytes of payload, argsz {argsz}"),
            mark("argsz"),
        );
    }
    let complete = u64::from(argsz) <= payload;
    if complete {
        let expected = format!("{argsz} bytes of payload, as argsz says");
        out.should("MSZ-03", payload <= u64::from(argsz), &expected, || format!("{payload} bytes"), mark("argsz"));
    }

    let mmap = flags & MMAP != 0;
    let takes_fds = edition.client_fds(negotiated) >= 1;
    if mmap && complete && takes_fds {
        out.must(
            "REGINFO-05",
            reply.fds >= 1,
            "a file descriptor with the MMAP flag",
            || "none".to_owned(),
            mark("flags"),
        );
    } else if !mmap {
        out.should(
            "REGINFO-06",
            reply.fds == 0,
            "no file descriptor without the MMAP flag",
            || format!("{} file descriptors", reply.fds),
            mark("flags"),
        );
    }

    let caps = flags & CAPS != 0;
    if complete {
        let inside = cap_offset >= FIXED as u32 && u64::from(cap_offset) < payload;
        if caps {
            out.must(
                "REGINFO-07",
                inside,
                "cap_offset inside the payload where CAPS is set",
                || format!("cap_offset {cap_offset}"),
                mark("cap_offset"),
            );
        } else {
            let expected = "no capability bytes without the CAPS flag";
            out.should(
                "REGINFO-07",
                payload == FIXED,
                expected,
                || format!("{} bytes behind the fixed part", payload - FIXED),
                mark("flags"),
            );
        }
        if caps && inside {
            capabilities::judge(&info, reply.payload, out);
            if edition != Edition::Current {
                legacy::judge_region(edition, &info, reply.payload, out);
            }
        }
        if index >= region::COUNT && size > 0 {
            let chain = vfio_user_wire::capabilities(reply.payload, if caps { cap_offset } else { 0 });
            let typed =
                chain.is_ok_and(|chain| chain.iter().any(|capability| capability.id == region_capability::TYPE));
            let expected = "a type capability for a region with an index of 9 or above";
            let requirement = match edition {
                Edition::Current => "REGINFO-13",
                Edition::Legacy | Edition::Tables(_) => edition.own_name("L-REG-01"),
            };
            out.must(requirement, typed, expected, || format!("none for region {index}"), mark("index"));
        }
    } else if caps {
        // A truncated reply holds no capability, whatever it says (policy A-06).
        out.should(
            "REGINFO-07",
            false,
            "CAPS clear in a reply that leaves the capabilities out",
            || format!("CAPS set, cap_offset {cap_offset}"),
            mark("flags"),
        );
    }
}
