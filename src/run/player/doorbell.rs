//! `ring`, `< sub-region` and `< counted`: the descriptors of DEVICE_GET_REGION_IO_FDS, and what comes of them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::PollFlags;
use nix::unistd::write;
use vfio_user_wire::message::{REGION_READ, RegionAccess, RegionIoFds};
use vfio_user_wire::{Body, Field, IoEventFd, SubRegion, io_fd_type};

use crate::case::{Condition, Expression, Name};
use crate::session::{Deadline, Interrupt, Waited, wait};
use crate::verdict::Evidence;

use super::environment::answer_of;
use super::judge::Line;
use super::{Fault, Player, Stop};

impl Player<'_> {
    /// Writes 1 to the descriptor of a sub-region.
    pub(super) fn ring(&mut self, line: Line<'_>, label: &Name, conditions: &[Condition]) -> Result<(), Stop> {
        let Some(entry) = self.sub_region(label, conditions)? else {
            return Err(Stop::Skip(format!("the reply has no such sub-region: {}", texts(conditions))));
        };
        let (deadline, interrupt) = (Deadline::after(self.context.timeouts.reply), self.context.interrupt);
        let event = IoEventFd::parse(&entry).map(|(event, _)| event);
        let Some(event) = event.filter(|event| event.kind == io_fd_type::IOEVENTFD) else {
            return Err(Stop::Skip("the sub-region is none that an eventfd is signalled for".to_owned()));
        };
        let fds = answer_of(&self.talk, &label.value).map(|answer| answer.fds.as_slice()).unwrap_or_default();
        let signalled = match fds.get(event.fd_index as usize) {
            Some(fd) => signal(fd.as_fd(), deadline, interrupt)?,
            None => false,
        };
        let actual = || "it has none".to_owned();
        self.conclude(line, signalled, "a descriptor of the sub-region that takes a signal", actual, Evidence::Received)
    }

    /// `< sub-region LABEL FIELD=VALUE ..`.
    pub(super) fn expect_sub_region(
        &mut self,
        line: Line<'_>,
        label: &Name,
        conditions: &[Condition],
    ) -> Result<(), Stop> {
        let found = self.sub_region(label, conditions)?.is_some();
        let expected = format!("a sub-region with {}", self.said(conditions));
        self.conclude(line, found, &expected, || "there is none".to_owned(), Evidence::Received)
    }

    /// `< counted N`: reads the counter, which reading clears, until the sum is there or the deadline has passed: a server
    /// may take a descriptor and the socket in any order. For a while it stays so.
    pub(super) fn expect_counted(&mut self, line: Line<'_>, wanted: &Expression) -> Result<(), Stop> {
        let wanted = self.environment.u64(wanted, &self.talk)?;
        let counter = self.context.device.and_then(|device| device.counter);
        let register = counter.ok_or_else(|| Stop::Skip("the device file names no counter".to_owned()))?.register;
        let field = Field { name: "counter", offset: 0, width: register.width as usize, meaning: "", bits: &[] };
        let mut deadline = self.patience(self.time_to_act())?;
        let (mut count, mut reached) = (0u64, false);
        loop {
            let access = RegionAccess { offset: register.offset, region: register.region, count: register.width };
            let index = self.access(line.number, 0, REGION_READ.name, access.bytes().to_vec())?;
            let answer = self.talk.sent.get(index).and_then(|sent| sent.answer.as_ref());
            let value = answer.and_then(|answer| field.read(answer.payload.get(RegionAccess::LAYOUT.size..)?));
            count = count.saturating_add(value.unwrap_or_default());
            if count > wanted || deadline.passed() || self.context.interrupt.raised() {
                break;
            }
            if count == wanted && !reached {
                // What is counted too often need not be so at once.
                (reached, deadline) = (true, self.patience_to_settle()?);
            }
            self.pass_time(deadline)?;
        }
        let evidence = if count < wanted { Evidence::Deadline } else { Evidence::Received };
        let expected = format!("{wanted} counted by the device");
        self.conclude(line, count == wanted, &expected, || format!("{count} counted"), evidence)
    }

    /// The first sub-region of that reply of which this is true.
    fn sub_region(&self, label: &Name, conditions: &[Condition]) -> Result<Option<Vec<u8>>, Stop> {
        let answer = answer_of(&self.talk, &label.value)
            .ok_or_else(|| Fault::of_target(format!("`{}` has no reply", label.value)))?;
        let Some((info, array)) = RegionIoFds::parse(&answer.payload) else { return Ok(None) };
        let stride = info.stride().unwrap_or(SubRegion::SIZE);
        for entry in array.chunks_exact(stride.max(SubRegion::SIZE)).take(info.count as usize) {
            if self.is_met(entry, conditions)? {
                return Ok(Some(entry.to_vec()));
            }
        }
        Ok(None)
    }

    fn is_met(&self, entry: &[u8], conditions: &[Condition]) -> Result<bool, Fault> {
        let decoded = Body::fixed(&IoEventFd::LAYOUT).decode(entry);
        for condition in conditions {
            let name = condition.field.value.as_str();
            let field = IoEventFd::LAYOUT.field(name);
            let Some(wanted) = self.environment.compared(field, &condition.value.value, &self.talk)? else {
                return Err(Fault::new("a field of a sub-region is an integer"));
            };
            if !decoded.get(name).is_some_and(|value| condition.relation.holds(value, wanted)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Conditions with their values, for people.
    fn said(&self, conditions: &[Condition]) -> String {
        conditions.iter().map(|condition| self.condition_text(condition)).collect::<Vec<_>>().join(", ")
    }
}

fn texts(conditions: &[Condition]) -> String {
    conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Adds 1 to an eventfd, once it takes that; `false` where it does not in time, or is nothing that can be signalled.
fn signal(fd: BorrowedFd<'_>, deadline: Deadline, interrupt: &Interrupt) -> io::Result<bool> {
    let (waited, ready) = wait(&[(fd, PollFlags::POLLOUT)], deadline, interrupt)?;
    let writable = ready.first().is_some_and(|flags| *flags == PollFlags::POLLOUT);
    if waited != Waited::Ready || !writable {
        return Ok(false);
    }
    // The server has the descriptor, too, and may fill it meanwhile; and it may be none that takes 8 bytes at one time. No flag
    // of ours keeps such a write from blocking that the server would not see as well: a thread is left to it, which ends with
    // the program at the latest.
    let (done, mut told) = io::pipe()?;
    let fd = fd.try_clone_to_owned()?;
    std::thread::Builder::new().name("ring".to_owned()).spawn(move || {
        if write(fd, &1u64.to_ne_bytes()) == Ok(8) {
            // Nobody may listen any more.
            let _ = io::Write::write_all(&mut told, &[1]);
        }
    })?;
    let (waited, ready) = wait(&[(done.as_fd(), PollFlags::POLLIN)], deadline, interrupt)?;
    Ok(waited == Waited::Ready && ready.first().is_some_and(|flags| flags.contains(PollFlags::POLLIN)))
}
