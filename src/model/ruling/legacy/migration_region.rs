//! REGION_READ and REGION_WRITE of the registers of migration, and of its data (0.9.1 at 190f85b^, 1667-1838).

use vfio_user_wire::device_state::{ERROR, RESUMING, STOP_COPY};
use vfio_user_wire::legacy::migration_state::MASK;
use vfio_user_wire::message::{REGION_WRITE, RegionAccess};
use vfio_user_wire::region_info_flags::{READ, WRITE};
use vfio_user_wire::tables::Table;
use vfio_user_wire::{CapabilityBody, capabilities, message};

use super::super::super::edition::Edition;
use super::super::super::judgement::bytes_mark;
use super::super::super::migration::{States, Way};
use super::super::super::migration_region::{Register, Transfer, names, state_of, way};
use super::super::super::permits::{Permits, Rule};
use super::super::super::session::{Given, State};
use super::super::super::{Command, Judgements, LetGo};
use super::super::regions::{self, Place, place};
use super::pfn_query;
use crate::verdict::Class::{Note, Violation};

const FIXED: usize = RegionAccess::LAYOUT.size;
const PAGE: u64 = 4096;

/// An access to the migration region.
pub(super) struct Access<'a> {
    pub(super) offset: u64,
    pub(super) count: u64,
    pub(super) register: Register,
    /// What is written.
    data: &'a [u8],
}

impl Access<'_> {
    /// The number that is written to a register.
    pub(super) fn value(&self) -> u64 {
        number(self.data)
    }
}

/// The number in so many bytes, or in the first eight of them.
fn number(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_ne_bytes(all)
}

/// The access, where it is one to the migration region, inside it, and has all that belongs to it and no more.
fn access<'a>(state: &State, command: &'a Command) -> Option<Access<'a>> {
    let region = state.offer.migration_region?;
    let (access, data) = RegionAccess::parse(&command.payload)?;
    let (offset, count) = (access.offset, u64::from(access.count));
    let writes = command.message?.name == REGION_WRITE.name;
    let whole = data.len() as u64 == if writes { count } else { 0 };
    let flag = if writes { WRITE } else { READ };
    let inside = matches!(place(state, &access), Place::Inside { flags } if flags & flag != 0);
    let usual = whole && inside && count > 0 && count <= state.offer.limits.max_data_xfer_size;
    let register = region.register(offset, count);
    (access.region == region.index && usual && command.fds.is_empty()).then_some(Access {
        offset,
        count,
        register,
        data,
    })
}

/// Whether a command is an access to the migration region.
pub(in crate::model) fn is_access(state: &State, command: &Command) -> bool {
    let Some(region) = state.offer.migration_region else { return false };
    let name = command.message.map(|message| message.name);
    [message::REGION_READ.name, REGION_WRITE.name].map(Some).contains(&name)
        && RegionAccess::parse(&command.payload).is_some_and(|(access, _)| access.region == region.index)
}

/// Whether a command may change the state of migration.
pub(in crate::model) fn changes_state(state: &State, command: &Command) -> bool {
    is_access(state, command)
        && command.message.is_some_and(|message| message.name == REGION_WRITE.name)
        && RegionAccess::parse(&command.payload).is_some_and(|(access, _)| access.offset < 4)
}

pub(in crate::model) fn permits_read(state: &State, command: &Command) -> Permits {
    let Some(access) = access(state, command) else { return regions::permits_read(state, command) };
    let (migration, transfer) = (&state.migration, &state.transfer);
    let (saving, resuming) = (migration.is_saving() == Some(true), migration.is_resuming() == Some(true));
    match access.register {
        Register::State if migration.was_touched() => Permits::success(
            "L-MR-29",
            Violation,
            "success: a client asks for the state after an error, whichever it is",
        ),
        Register::State => Permits::success("L-MR-02", Violation, "success: the state is read by REGION_READ"),
        Register::Reserved => Permits::success("L-MR-12", Note, "success: the access is ignored"),
        Register::Pending if saving => {
            Permits::success("L-MR-02", Violation, "success: an iteration begins by reading pending_bytes")
        }
        Register::DataOffset if saving && transfer.announced.is_some_and(|pending| pending > 0) => {
            Permits::success("L-MR-17", Violation, "success: there are data, and this makes them available")
        }
        Register::DataOffset if saving && transfer.copied.is_some() => {
            Permits::success("L-PFN-04", Violation, "success: it says where the bitmap stands")
        }
        Register::DataOffset if resuming => {
            Permits::success("L-MR-21", Violation, "success: it says where data are to be written")
        }
        Register::DataSize if saving && transfer.offset.is_some() => {
            Permits::success("L-MR-17", Violation, "success: data_offset was read, and data were made available")
        }
        Register::Pending | Register::DataOffset | Register::DataSize => Permits::either().testing("L-MR-25"),
        Register::PfnInput(_) => Permits::either().testing("L-PFN-01"),
        Register::CopiedPfns => pfn_query::permits_read(state),
        Register::Odd => Permits::either().testing(if access.offset < 32 { "L-MR-24" } else { "L-PFN-06" }),
        Register::Behind if access.count > state.client_limits.max_data_xfer_size => Permits::either(),
        Register::Behind if state.migrating.too_long(FIXED as u64 + access.count) => {
            Permits::either().testing("L-VER-04")
        }
        Register::Behind if saving && is_portion(transfer, &access) => {
            Permits::success("L-MR-17", Violation, "success: these are the data_size bytes at data_offset")
        }
        Register::Behind if saving && pfn_query::is_bitmap(transfer, access.offset, access.count) => {
            Permits::success("L-PFN-04", Violation, "success: the bitmap stands at data_offset")
        }
        Register::Behind => Permits::either().testing("L-MR-26"),
    }
}

/// It is all that was made available.
fn is_portion(transfer: &Transfer, access: &Access<'_>) -> bool {
    transfer.offset.is_some_and(|(offset, _)| offset == access.offset) && transfer.size == Some(access.count)
}

pub(in crate::model) fn permits_write(state: &State, command: &Command) -> Permits {
    let Some(access) = access(state, command) else { return regions::permits_write(state, command) };
    match access.register {
        Register::State => permits_state(state, access.value() as u32),
        Register::Reserved => Permits::success("L-MR-12", Note, "success: the access is ignored"),
        Register::Pending => Permits::either().testing("L-MR-13"),
        Register::DataOffset => Permits::either().testing("L-MR-15"),
        // What is written there is opaque, and may be refused for what it says.
        Register::DataSize => Permits::either().testing("L-MR-21"),
        Register::Behind if state.migration.is_resuming() == Some(true) => Permits::either().testing("L-MR-21"),
        Register::Behind => Permits::either().testing("L-MR-26"),
        Register::PfnInput(_) => pfn_query::permits_input(state, &access),
        Register::CopiedPfns => Permits::either().testing("L-PFN-01"),
        Register::Odd => Permits::either().testing(if access.offset < 32 { "L-MR-24" } else { "L-PFN-06" }),
    }
}

/// What asking for a state may bring, where the device may be in one of several: only what is right for all of them is
/// asked for.
fn permits_state(state: &State, register: u32) -> Permits {
    if register & !MASK != 0 {
        return Permits::refusal("L-MR-11", Note, "a refusal: no more than bits 0 to 2 of the state mean something");
    }
    let Some(to) = state_of(register).filter(|to| *to != ERROR) else {
        let expected =
            format!("a refusal: {register} is no state that can be asked for ({})", clauses(state.edition()).0);
        return Permits::refusal("L-MR-10", Violation, expected);
    };
    let (states, in_iteration) = (state.migration.states(), state.transfer.offset.is_some());
    let ways: Vec<Option<Way>> = states.iter().map(|from| way(state.edition(), from, to, in_iteration)).collect();
    let (wanted, clause) = (names(States::one(to)), clauses(state.edition()).1);
    match ways.first() {
        Some(Some(Way::Open(requirement))) if ways.iter().all(|way| matches!(way, Some(Way::Open(_)))) => {
            let expected = format!("success: from {} there is a way to {wanted} ({clause})", names(states));
            Permits::success(requirement, Violation, expected)
        }
        Some(Some(Way::Closed(requirement, class))) if ways.iter().all(|way| matches!(way, Some(Way::Closed(..)))) => {
            let expected = format!("a refusal: from {} there is no way to {wanted} ({clause})", names(states));
            Permits::refusal(requirement, *class, expected)
        }
        Some(Some(Way::Loaded(requirement))) => Permits::either().testing(requirement),
        _ => Permits::either(),
    }
}

/// Where the text that is spoken has the states, and the ways between them.
fn clauses(edition: Edition) -> (&'static str, &'static str) {
    match edition {
        Edition::Tables(Table::V8) => ("version 8 at 595dff9, 1016-1021", "version 8 at 595dff9, 1025-1037"),
        Edition::Tables(Table::V8c) => ("0.9.1 at cda5e5f^, 1630-1635", "0.9.1 at cda5e5f^, 1639-1651"),
        Edition::Current | Edition::Legacy => ("0.9.1 at 190f85b^, 1726-1731", "0.9.1 at 190f85b^, 1735-1747"),
    }
}

pub(in crate::model) fn judge_read(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    regions::judge_read(state, command, payload, out);
    let (Some(access), Some(region)) = (access(state, command), state.offer.migration_region) else { return };
    let Some(data) = payload.get(FIXED..).filter(|data| data.len() as u64 == access.count) else { return };
    let (value, transfer) = (number(data), &state.transfer);
    let saving = state.migration.is_saving() == Some(true);
    let mark = |name| bytes_mark(name, FIXED, data.len());
    let size = state.offer.region(u64::from(region.index)).map_or(u64::MAX, |region| region.size);
    match access.register {
        Register::State => judge_state(state, value as u32, out),
        Register::Pending => {
            if let Some((before, requirement)) = transfer.pending.filter(|_| state.alone) {
                let expected = format!("pending_bytes {before}, as it was read before");
                let actual = || format!("pending_bytes {value}");
                out.must(requirement, value == before, &expected, actual, mark("pending_bytes"));
            }
        }
        Register::DataOffset => {
            let in_order =
                saving && (transfer.announced.is_some_and(|pending| pending > 0) || transfer.copied.is_some());
            if in_order || state.migration.is_resuming() == Some(true) {
                let least = region.registers();
                let expected = format!("data_offset from {least} on, and inside the {size:#x} bytes of the region");
                let right = value >= least && value <= size;
                let actual = || format!("data_offset {value:#x}");
                out.must("L-MR-16", right, &expected, actual, mark("data_offset"));
                if transfer.copied.is_some() {
                    out.must("L-PFN-04", right, &expected, actual, mark("data_offset"));
                }
                let aligned = value.is_multiple_of(PAGE) || !is_mapped(state, u64::from(region.index), value);
                let expected = "a page-aligned data_offset where the data can be mapped";
                out.should("L-MR-32", aligned, expected, actual, mark("data_offset"));
            }
            if let Some((before, requirement)) = transfer.offset.filter(|_| state.alone && saving) {
                let class = if requirement == "L-MR-15" { Violation } else { Note };
                let expected = format!("data_offset {before:#x}, as before in this iteration");
                let actual = || format!("data_offset {value:#x}");
                out.check(requirement, value == before, class, &expected, actual, mark("data_offset"));
            }
        }
        Register::DataSize => {
            let Some((offset, _)) = transfer.offset.filter(|_| saving) else { return };
            let actual = || format!("data_size {value:#x}");
            let inside = offset.checked_add(value).is_some_and(|end| end <= size);
            let expected = format!("data that end inside the {size:#x} bytes of the region");
            out.must("L-MR-16", inside, &expected, actual, mark("data_size"));
            if let Some(pending) = transfer.announced {
                let right = value <= pending && (value > 0 || pending == 0);
                let expected = format!("data_size above 0 and at most {pending}, the pending_bytes of this iteration");
                out.should("L-MR-18", right, &expected, actual, mark("data_size"));
            }
        }
        Register::CopiedPfns => pfn_query::judge_copied(state, value, out),
        Register::Behind => pfn_query::judge_bits(state, access.offset, data, out),
        Register::Reserved | Register::PfnInput(_) | Register::Odd => {}
    }
}

fn judge_state(state: &State, register: u32, out: &mut Judgements) {
    let mark = || bytes_mark("device_state", FIXED, 4);
    let actual = || match state_of(register) {
        Some(is) => format!("{register}: {}", names(States::one(is))),
        None => register.to_string(),
    };
    let Some(is) = state_of(register & MASK) else {
        return out.must("L-MR-10", false, "a state: 5 and 7 are none", actual, mark());
    };
    out.should("L-MR-11", register & !MASK == 0, "bits 3 to 31 clear", actual, mark());
    if let Some(due) = state.migration.due() {
        let mut expected = names(due.states);
        expected.insert_str(0, "device_state ");
        out.check(due.requirement, due.states.has(is), due.class, &expected, actual, mark());
    }
}

/// The region's capabilities, as far as they are known, say that this byte can be mapped.
fn is_mapped(state: &State, region: u64, offset: u64) -> bool {
    let Some(info) = state.region_infos.get(&region) else { return false };
    let Some((head, _)) = message::RegionInfo::parse(info) else { return false };
    let areas =
        capabilities(info, head.cap_offset).unwrap_or_default().into_iter().flat_map(|found| match found.body {
            CapabilityBody::SparseMmap { areas, .. } => areas,
            _ => Vec::new(),
        });
    areas.into_iter().any(|area| offset >= area.offset && offset - { area.offset } < { area.size })
}

pub(in crate::model) fn apply_read(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    let Some(access) = access(state, command) else { return };
    let data = match given {
        Given::Ok(payload) => payload.get(FIXED..).filter(|data| data.len() as u64 == access.count),
        Given::Error | Given::Unknown => None,
    };
    let saving = state.migration.is_saving() == Some(true);
    let in_order = match access.register {
        Register::Pending => saving,
        Register::DataOffset => saving || state.migration.is_resuming() == Some(true),
        Register::DataSize => saving && state.transfer.offset.is_some(),
        _ => true,
    };
    if !in_order {
        state.migration.keeps("L-MR-25");
    }
    let Some(data) = data else {
        match access.register {
            Register::Behind | Register::Odd | Register::Reserved | Register::PfnInput(_) => {}
            Register::State => {}
            Register::CopiedPfns => state.transfer.copied = None,
            Register::Pending | Register::DataOffset | Register::DataSize => state.transfer.forget(),
        }
        return;
    };
    let value = number(data);
    let transfer = &mut state.transfer;
    match access.register {
        Register::State => match state_of(value as u32) {
            Some(is) => state.migration.found(is),
            None => state.migration.touch(),
        },
        Register::Pending => {
            let stays = state.migration.states().only() == Some(STOP_COPY);
            transfer.pending = stays.then_some((value, "L-MR-14"));
            (transfer.announced, transfer.offset, transfer.size) = (Some(value), None, None);
        }
        Register::DataOffset => {
            transfer.pending = None;
            // Where nothing was said to be pending, nothing was made available either, whatever the value (L-MR-25).
            let begun = transfer.announced.is_some_and(|pending| pending > 0) || transfer.copied.is_some();
            transfer.offset = begun.then_some((value, "L-MR-17"));
        }
        Register::DataSize => transfer.size = Some(value),
        Register::CopiedPfns => pfn_query::copied(state, value),
        Register::Behind => {
            transfer.was_read(access.offset, access.count);
            pfn_query::was_read(state, access.offset, access.count);
        }
        Register::Reserved | Register::PfnInput(_) | Register::Odd => {}
    }
}

pub(in crate::model) fn apply_write(state: &mut State, command: &Command, given: Given<'_>) {
    let Some(access) = access(state, command) else {
        if changes_state(state, command) && !matches!(given, Given::Error) {
            state.migration.touch();
        }
        return regions::apply_write(state, command, given);
    };
    state.refuse_fds(command, LetGo::Stray);
    match access.register {
        Register::State => apply_state(state, access.value() as u32, given),
        Register::Reserved => state.migration.keeps("L-MR-12"),
        Register::Pending => {
            if let Some((_, requirement)) = &mut state.transfer.pending {
                *requirement = "L-MR-13";
            }
        }
        Register::DataOffset => {
            if let Some((_, requirement)) = &mut state.transfer.offset {
                *requirement = "L-MR-15";
            }
        }
        Register::DataSize => state.transfer.size = None,
        Register::PfnInput(index) => pfn_query::written(state, index, access.value(), given),
        Register::Odd if access.offset < 4 => {
            if !matches!(given, Given::Error) {
                state.migration.touch();
            }
        }
        Register::Odd => state.transfer.forget(),
        Register::CopiedPfns | Register::Behind => {}
    }
}

fn apply_state(state: &mut State, register: u32, given: Given<'_>) {
    let to = state_of(register).filter(|to| *to != ERROR);
    // What is loaded takes the place of what the device was.
    if to.is_none_or(|to| to == RESUMING) || state.migration.states().has(RESUMING) {
        state.scratch.forget_all();
    }
    match (given, to) {
        (Given::Ok(_), Some(to)) => state.migration.went(to),
        (Given::Error, _) => state.migration.stayed(),
        (Given::Unknown, Some(to)) => state.migration.perhaps_went(to),
        (Given::Ok(_) | Given::Unknown, None) => state.migration.touch(),
    }
    state.transfer.forget();
    pfn_query::changed_state(state);
    if !state.migration.is_stopped() {
        state.irqs.resume();
    }
}

/// While the device is stopped, a server may refuse what is not migration's (L-MR-28).
pub(in crate::model) fn stopped(state: &State, command: &Command, permits: &mut Permits) {
    let spared = ["VERSION", "DIRTY_PAGES"];
    let name = command.message.map_or("", |message| message.name);
    if spared.contains(&name)
        || is_access(state, command)
        || permits.error.is_empty()
        || !state.migration.may_be_stopped()
    {
        return;
    }
    let expected = "success: the device is stopped, and the server serves all the same".to_owned();
    permits.error = vec![Rule { requirement: "L-MR-28", class: Note, expected }];
}
