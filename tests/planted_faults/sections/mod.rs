//! The faults, one file for each section of the specification.

mod backend;
mod conc;
mod disc;
mod dlog;
mod dmap;
mod dmarw;
mod dunmap;
pub(crate) mod early;
mod feat;
mod hdr;
mod info;
mod iofds;
mod irqinfo;
mod kept_state;
pub(crate) mod legacy;
mod migdata;
mod migfsm;
mod migfsm_data;
mod migration_region;
mod migration_region_data;
mod msz;
mod pfn_query;
mod reginfo;
mod reset;
mod rread;
mod rwrite;
mod sec;
mod setirqs;
mod sock;
mod twin;
mod v8;
mod ver;
mod wmulti;

use crate::fault::Fault;

/// A section's faults, and the requirements that have a check and no fault, each with the reason.
type Section = (fn() -> Vec<Fault>, &'static [(&'static str, &'static str)]);

#[rustfmt::skip]
const SECTIONS: &[Section] = &[
    (backend::faults, backend::NO_FAULT),
    (conc::faults, conc::NO_FAULT),
    (disc::faults, disc::NO_FAULT),
    (dlog::faults, dlog::NO_FAULT),
    (dmap::faults, dmap::NO_FAULT),
    (dmarw::faults, dmarw::NO_FAULT),
    (dunmap::faults, dunmap::NO_FAULT),
    (early::faults, early::NO_FAULT),
    (feat::faults, feat::NO_FAULT),
    (hdr::faults, hdr::NO_FAULT),
    (info::faults, info::NO_FAULT),
    (iofds::faults, iofds::NO_FAULT),
    (irqinfo::faults, irqinfo::NO_FAULT),
    (kept_state::faults, kept_state::NO_FAULT),
    (legacy::dirty_bitmap::faults, legacy::dirty_bitmap::NO_FAULT),
    (legacy::dirty_pages::faults, legacy::dirty_pages::NO_FAULT),
    (legacy::dma::faults, legacy::dma::NO_FAULT),
    (legacy::version::faults, legacy::version::NO_FAULT),
    (migdata::faults, migdata::NO_FAULT),
    (migfsm::faults, migfsm::NO_FAULT),
    (migfsm_data::faults, migfsm_data::NO_FAULT),
    (migration_region::faults, migration_region::NO_FAULT),
    (migration_region_data::faults, migration_region_data::NO_FAULT),
    (msz::faults, msz::NO_FAULT),
    (pfn_query::faults, pfn_query::NO_FAULT),
    (reginfo::faults, reginfo::NO_FAULT),
    (reset::faults, reset::NO_FAULT),
    (rread::faults, rread::NO_FAULT),
    (rwrite::faults, rwrite::NO_FAULT),
    (sec::faults, sec::NO_FAULT),
    (setirqs::faults, setirqs::NO_FAULT),
    (sock::faults, sock::NO_FAULT),
    (twin::faults, twin::NO_FAULT),
    (v8::faults, v8::NO_FAULT),
    (ver::faults, ver::NO_FAULT),
    (wmulti::faults, wmulti::NO_FAULT),
];

/// All faults.
pub(crate) fn faults() -> impl Iterator<Item = Fault> {
    SECTIONS.iter().flat_map(|(faults, _)| faults())
}

/// Requirements that have a check and no fault, each with the reason.
pub(crate) fn without_fault() -> impl Iterator<Item = (&'static str, &'static str)> {
    SECTIONS.iter().flat_map(|(_, without)| without.iter().copied())
}
