//! What may be answered in 0.9.1 where it has a message otherwise than 0.9.2, or alone.

mod dirty_pages;
mod dma_unmap;
pub(super) mod migration_region;
mod pfn_query;

use serde_json::Value;
use vfio_user_wire::legacy::{DIRTY_PAGES, DMA_UNMAP};
use vfio_user_wire::message::{REGION_READ, REGION_WRITE};

use super::super::Negotiated;
use super::super::edition::Edition;
use super::super::permits::Permits;
use super::super::session::{Migrating, State};
use super::{Ruling, regions};
use crate::verdict::Class::{Note, Violation};

/// What stands before the rulings of 0.9.2.
pub(super) const RULINGS: &[Ruling] = &[
    Ruling { message: &DMA_UNMAP, permits: dma_unmap::permits, judge: dma_unmap::judge, apply: dma_unmap::apply },
    Ruling {
        message: &DIRTY_PAGES,
        permits: dirty_pages::permits,
        judge: dirty_pages::judge,
        apply: dirty_pages::apply,
    },
    Ruling {
        message: &REGION_READ,
        permits: migration_region::permits_read,
        judge: migration_region::judge_read,
        apply: migration_region::apply_read,
    },
    Ruling {
        message: &REGION_WRITE,
        permits: migration_region::permits_write,
        judge: regions::judge_write,
        apply: migration_region::apply_write,
    },
];

/// Smaller pages of a bitmap, and larger ones, no server needs to know.
const PAGES: std::ops::RangeInclusive<u64> = 512..=1 << 30;

/// What may be answered to a VERSION that proposes such a `migration`; `None` where it is what every server takes.
pub(super) fn permits_migration(state: &State, migration: &Value) -> Option<Permits> {
    let Some(members) = migration.as_object() else { return Some(Permits::either().testing("VER-25")) };
    let Some(pgsize) = members.get("pgsize") else { return Some(Permits::either().testing("L-VER-07")) };
    let pgsize = pgsize.as_u64().filter(|pgsize| pgsize.is_power_of_two() && PAGES.contains(pgsize));
    match (pgsize, state.offer.pgsize) {
        (Some(asked), Some(own)) if asked == own => None,
        (Some(4096), None) => None,
        (Some(asked), Some(own)) if asked > own && own.is_power_of_two() => {
            let expected = format!("success: the smaller page size counts, the server's own {own}");
            Some(Permits::success("L-VER-02", Violation, expected))
        }
        (Some(asked), Some(_)) => {
            let expected = format!("success: the smaller page size counts, {asked}");
            let permits = Permits::success("L-VER-02", Note, expected);
            Some(Permits { closed: permits.error.clone(), ..permits })
        }
        (_, None) | (None, _) => Some(Permits::either().testing("VER-25")),
    }
}

/// What VERSION has settled.
pub(super) fn agreed(edition: Edition, negotiated: &Negotiated) -> Migrating {
    let (client, server) = (negotiated.client.legacy_limits(), negotiated.server.legacy_limits());
    let page_size = match (client.pgsize, server.pgsize) {
        (Some(client), Some(server)) => Some(client.min(server)),
        (None, server) => server,
        (Some(_), None) => None,
    };
    let early = negotiated.server.number("max_msg_size").is_some();
    Migrating {
        client: client.migration,
        server: server.migration,
        page_size: page_size.filter(|size| size.is_power_of_two()),
        differ: client.pgsize.is_some() && server.pgsize.is_some() && client.pgsize != server.pgsize,
        early,
        most: (early || matches!(edition, Edition::Tables(_))).then_some(client.max_msg_size),
    }
}
