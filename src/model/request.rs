//! What holds for every command that the server sends.

use vfio_user_wire::message::{DMA_READ, DMA_WRITE, DmaAccess};
use vfio_user_wire::{Dialect, Direction, HEADER_SIZE, Header};

use super::judgement::{header_mark, payload_mark};
use super::{Judgement, Judgements, Negotiated};

/// Judges a command of the server; `mapped` says whether every byte of a range lies in a map that the client made and
/// has not taken back.
pub fn judge_request(
    dialect: &Dialect,
    header: &Header,
    payload: &[u8],
    negotiated: &Negotiated,
    mapped: &dyn Fn(u64, u64) -> bool,
) -> Vec<Judgement> {
    let mut out = Judgements::default();
    let number = header.command;
    let known = dialect.message(number).filter(|message| message.direction == Direction::ToClient);
    out.must(
        "HDR-15",
        known.is_some(),
        "DMA_READ or DMA_WRITE: the only commands of a server",
        || dialect.name_of(number),
        header_mark("command"),
    );
    let Some(message) = known else { return out.into_vec() };
    let write = message.name == DMA_WRITE.name;
    let access = DmaAccess::parse(payload);
    let data = payload.len().saturating_sub(DmaAccess::LAYOUT.size) as u64;
    let right = access.is_some_and(|(access, _)| if write { access.count == data } else { data == 0 });
    let expected = if write { "32 bytes and as much data as count says" } else { "32 bytes" };
    out.must("DMARW-01", right, expected, || format!("{} bytes", HEADER_SIZE + payload.len()), header_mark("size"));
    if let Some((access, _)) = access {
        let (address, count) = (access.address, access.count);
        let mark = |name| DmaAccess::LAYOUT.field(name).and_then(payload_mark);
        let most = negotiated.client_limits().max_data_xfer_size;
        let expected = format!("a count of at most {most}, the client's max_data_xfer_size");
        out.must("MSZ-06", count <= most, &expected, || format!("count {count}"), mark("count"));
        let inside = mapped(address, count);
        out.must(
            "DMAP-09",
            inside,
            "an access inside memory that is mapped now",
            || format!("{count} bytes at {address:#x}"),
            mark("address"),
        );
    }
    let read_without_reply = message.name == DMA_READ.name && header.no_reply();
    out.should(
        "DMARW-10",
        !read_without_reply,
        "a DMA_READ that wants its reply",
        || "No_reply set".to_owned(),
        header_mark("flags"),
    );
    out.into_vec()
}
