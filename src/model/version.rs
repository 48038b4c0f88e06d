//! What holds for every successful reply to VERSION.

use vfio_user_wire::message::Version;
use vfio_user_wire::{VersionData, VersionDataError};

use super::edition::Edition;
use super::judgement::{bytes_mark, header_mark, payload_mark};
use super::{Command, Judgements, Negotiated, Reply, legacy, twin};

/// What both sides said, from the payloads of VERSION and its reply; malformed data counts as none.
pub fn negotiated(request: &[u8], reply: &[u8]) -> Negotiated {
    let parse = |payload: &[u8]| VersionData::parse(payload.get(4..).unwrap_or_default()).unwrap_or_default();
    Negotiated { client: parse(request), server: parse(reply).with_whole_numbers() }
}

pub(super) fn judge(edition: Edition, command: &Command, reply: &Reply<'_>, _: &Negotiated, out: &mut Judgements) {
    let Some((version, data)) = Version::parse(reply.payload) else { return };
    let mark = |name| Version::LAYOUT.field(name).and_then(payload_mark);
    let (major, minor) = (version.major, version.minor);
    if let (Some(proposed_major), Some(proposed_minor)) =
        (command.request().get("major"), command.request().get("minor"))
    {
        out.must(
            "VER-02",
            u64::from(major) == proposed_major,
            &format!("major {proposed_major}, as proposed"),
            || format!("major {major}"),
            mark("major"),
        );
        out.must(
            "VER-03",
            u64::from(minor) <= proposed_minor,
            &format!("a minor of at most {proposed_minor}, as proposed"),
            || format!("minor {minor}"),
            mark("minor"),
        );
    }
    out.must("VER-01", true, "", String::new, None);

    let all = || bytes_mark("data", 4, data.len());
    let parsed = VersionData::parse(data);
    let nul = !matches!(parsed, Err(VersionDataError::NoNul));
    out.must("VER-08", nul, "version data that ends in a NUL byte", || "no NUL at its end".to_owned(), all());
    let json = match &parsed {
        // Of what was not read nothing is known.
        Ok(_)
        | Err(VersionDataError::NoNul | VersionDataError::TooLong(_) | VersionDataError::CapabilitiesNotObject) => true,
        Err(
            VersionDataError::InteriorNul(_)
            | VersionDataError::NotUtf8(_)
            | VersionDataError::NotJson(_)
            | VersionDataError::NotObject,
        ) => false,
    };
    let say = || parsed.as_ref().err().map(ToString::to_string).unwrap_or_default();
    out.must("VER-10", json, "version data of UTF-8 JSON with an object at the top", say, all());
    let object = !matches!(parsed, Err(VersionDataError::CapabilitiesNotObject));
    out.must("VER-12", object, "`capabilities` that is an object", say, all());
    if data.ends_with(&[0, 0]) {
        out.should("VER-10", false, "one NUL at the end of the version data", || "more than one".to_owned(), all());
    }
    if let Ok(parsed) = parsed {
        capabilities(edition, command, &parsed.with_whole_numbers(), reply, out);
    }
}

fn capabilities(edition: Edition, command: &Command, answer: &VersionData, reply: &Reply<'_>, out: &mut Judgements) {
    let data = || bytes_mark("data", 4, reply.payload.len().saturating_sub(4));
    let proposed = VersionData::parse(command.request().tail);
    if let Ok(proposed) = &proposed {
        twin::judge(proposed, answer, reply, out);
        // Values stated unasked are a note (policy A-23).
        let unasked: Vec<&str> = answer
            .capabilities()
            .into_iter()
            .flat_map(|map| map.keys())
            .map(String::as_str)
            .filter(|name| proposed.capability(name).is_none())
            .collect();
        out.should(
            "VER-06",
            unasked.is_empty(),
            "only capabilities that the client proposed",
            || format!("also {}", unasked.join(", ")),
            data(),
        );
    }
    if edition != Edition::Current {
        return legacy::judge_capabilities(edition, answer, data(), out);
    }
    if let Some(pgsizes) = answer.capability("pgsizes") {
        let right = answer.number("pgsizes").is_some_and(|sizes| sizes != 0 && sizes & 0xfff == 0);
        out.should(
            "VER-20",
            right,
            "pgsizes of powers of two, 4096 the smallest",
            || format!("pgsizes {pgsizes}"),
            data(),
        );
    }
    let ceilings = [("max_msg_fds", 16), ("max_data_xfer_size", 64 << 20), ("max_dma_maps", 65535)];
    let above: Vec<String> = ceilings
        .iter()
        .filter_map(|(name, most)| {
            answer.number(name).filter(|value| value > most).map(|value| format!("{name} {value}"))
        })
        .collect();
    out.should(
        "VER-34",
        above.is_empty(),
        "values that QEMU takes: max_msg_fds 16, max_data_xfer_size 64 MiB, max_dma_maps 65535 at the most",
        || above.join(", "),
        data(),
    );
    let qemu = command.payload.len() as u64 + 16 == 214;
    if qemu {
        let length = reply.payload.len() + 16;
        out.should(
            "VER-33",
            length <= 214,
            "a reply no longer than QEMU's request, 214 bytes",
            || format!("{length} bytes"),
            header_mark("size"),
        );
    }
}
