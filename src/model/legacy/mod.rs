//! What holds for every reply of the protocols before 0.9.2, where they have it otherwise.

pub(super) mod dirty_pages;
pub(super) mod dma_unmap;
mod region_type;

use vfio_user_wire::legacy::DIRTY_PAGES;
use vfio_user_wire::message::DMA_UNMAP;
use vfio_user_wire::{VersionData, bitmap_size};

pub(super) use self::region_type::judge_region;
use super::edition::Edition;
use super::judgement::header_mark;
use super::{Command, Judgements, Negotiated, Reply, tables};
use crate::verdict::FieldMark;

/// Judges a successful reply; whether nothing else is to be said of it.
pub(super) fn judge(edition: Edition, command: &Command, reply: &Reply<'_>, out: &mut Judgements) -> bool {
    if let Edition::Tables(table) = edition {
        return tables::judge(table, command, reply, out);
    }
    let Some(message) = command.message.filter(|_| edition == Edition::Legacy) else { return false };
    match message.name {
        name if name == DIRTY_PAGES.name => dirty_pages::judge(command, reply, out),
        name if name == DMA_UNMAP.name => dma_unmap::judge(command, reply, out),
        _ => false,
    }
}

/// Bytes that the bits of a bitmap may have: as many as were asked for or, where that is too many, as many as it takes.
fn bitmap_sizes(asked: u64, range: u64, page_size: u64) -> impl Iterator<Item = u64> {
    let exact = bitmap_size(range, page_size).filter(|exact| *exact < asked);
    [Some(asked), exact].into_iter().flatten()
}

/// No message is larger than the client takes, where the server knows `max_msg_size`: version 8, and 0.9.1 before commit
/// 57684de.
pub(super) fn judge_size(
    edition: Edition,
    command: &Command,
    reply: &Reply<'_>,
    negotiated: &Negotiated,
    out: &mut Judgements,
) {
    let known = match edition {
        Edition::Current => false,
        Edition::Legacy => negotiated.server.number("max_msg_size").is_some(),
        Edition::Tables(_) => true,
    };
    if !known {
        return;
    }
    let of_unmap = command.message.is_some_and(|message| message.name == DMA_UNMAP.name);
    let requirement = match edition {
        _ if of_unmap && !reply.payload.is_empty() => "L-UNM-14",
        Edition::Tables(_) => "V8-02",
        Edition::Current | Edition::Legacy => "L-VER-04",
    };
    judge_length(requirement, reply.header.size, negotiated, out);
}

/// Nor is a command of the server (version 8, 453-458).
pub(super) fn judge_request_size(edition: Edition, size: u32, negotiated: &Negotiated, out: &mut Judgements) {
    if matches!(edition, Edition::Tables(_)) {
        judge_length("V8-02", size, negotiated, out);
    }
}

fn judge_length(requirement: &'static str, size: u32, negotiated: &Negotiated, out: &mut Judgements) {
    let most = negotiated.client.legacy_limits().max_msg_size;
    let expected = format!("a message of at most {most} bytes, the client's max_msg_size");
    out.must(requirement, u64::from(size) <= most, &expected, || format!("{size} bytes"), header_mark("size"));
}

/// What the server says of migration in VERSION (0.9.1 at 190f85b^, 523-538).
pub(super) fn judge_capabilities(
    edition: Edition,
    answer: &VersionData,
    mark: Option<FieldMark>,
    out: &mut Judgements,
) {
    let own = |requirement| edition.own_name(requirement);
    let Some(migration) = answer.capability("migration") else { return };
    let object = migration.is_object();
    out.must(
        own("L-VER-01"),
        object,
        "`migration` that is an object",
        || format!("migration {migration}"),
        mark.clone(),
    );
    let Some(pgsize) = migration.get("pgsize") else { return };
    let actual = || format!("pgsize {pgsize}");
    let number = pgsize.as_u64().is_some_and(|pgsize| pgsize > 0);
    out.must(own("L-VER-02"), number, "`pgsize` that is a number of bytes", actual, mark.clone());
    let usual = pgsize.as_u64().is_none_or(u64::is_power_of_two);
    out.should(own("L-VER-02"), usual, "`pgsize` that is a power of two", actual, mark);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_has_the_size_that_was_asked_for_or_the_one_that_it_takes_where_that_is_less() {
        let sizes = |asked| bitmap_sizes(asked, 0x10_0000, 0x1000).collect::<Vec<_>>();
        assert_eq!(sizes(64), [64, 32]);
        assert_eq!(sizes(32), [32]);
        assert_eq!(sizes(8), [8]);
    }
}
