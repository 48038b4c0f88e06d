//! What version 8, and 0.9.1 while its DMA commands carried tables, have otherwise than later protocols. Lines are those of
//! version 8, `docs/vfio-user.rst` of libvfio-user at commit 595dff9.

mod bitmap;
mod dirty_pages;
pub(crate) mod dma_access;
mod dma_map;
mod dma_unmap;
pub(crate) mod limits;
mod vm_interrupt;

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vfio_user_wire::HEADER_SIZE;
use vfio_user_wire::message::{DeviceInfo, RegionAccess};
use vfio_user_wire::tables::Table;

use crate::answer::{Answer, Refusal};
use crate::command::device_get_info::device_get_info;
use crate::effect::Effect;
use crate::memory::Memory;
use crate::server::Server;
use crate::session::Agreed;
use crate::settings::Profile;
use dirty_pages::dirty_pages;
use dma_map::dma_map;
use dma_unmap::dma_unmap;
use vm_interrupt::enable;
pub(crate) use vm_interrupt::vm_interrupt;

impl Server {
    /// Executes a command of the protocols with tables: what these share.
    pub(crate) fn tables(
        &mut self,
        name: &str,
        agreed: &Agreed,
        payload: &[u8],
        fds: Vec<OwnedFd>,
        memory: &mut dyn Memory,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let settings = self.settings;
        let table = if settings.profile == Profile::V8 { Table::V8 } else { Table::V8c };
        let answer = match name {
            "DMA_MAP" => dma_map(settings, &mut self.session.maps, payload, fds, memory)?,
            "DMA_UNMAP" => {
                let (answer, maps) = dma_unmap(table, agreed, &mut self.session, payload, memory)?;
                maps.iter().for_each(|map| self.stop_touching(map));
                answer
            }
            "DIRTY_PAGES" => dirty_pages(table, settings, agreed, &mut self.session.log, payload)?,
            "REGION_READ" => {
                let (access, _) = RegionAccess::parse(payload).ok_or(Errno::EINVAL)?;
                room(agreed, RegionAccess::LAYOUT.size as u64 + u64::from(access.count))?;
                self.legacy(name, agreed, payload, fds, memory, effects)?
            }
            _ if table == Table::V8 => self.version_8(name, agreed, payload, fds, memory, effects)?,
            _ => self.legacy(name, agreed, payload, fds, memory, effects)?,
        };
        room(agreed, answer.payload.len() as u64)?;
        Ok(answer)
    }

    /// Executes a command that version 8 has otherwise than 0.9.1, or one that has not changed since.
    fn version_8(
        &mut self,
        name: &str,
        agreed: &Agreed,
        payload: &[u8],
        fds: Vec<OwnedFd>,
        memory: &mut dyn Memory,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let settings = self.settings;
        let answer = match name {
            // 724-725: the request is a header alone.
            "DEVICE_GET_INFO" => {
                let argsz = DeviceInfo::LAYOUT.size as u32;
                device_get_info(settings, DeviceInfo { argsz, ..DeviceInfo::default() }.bytes())?
            }
            "DEVICE_SET_IRQS" if fds.is_empty() && enable(settings, &mut self.session.irqs, payload)? => {
                Answer::default()
            }
            "REGION_WRITE" => {
                let answer = self.legacy(name, agreed, payload, fds, memory, effects)?;
                let (access, _) = RegionAccess::parse(payload).ok_or(Errno::EINVAL)?;
                // 1410-1411: nothing is in the reply.
                Answer { payload: RegionAccess { count: 0, ..access }.bytes().to_vec(), ..answer }
            }
            "VM_INTERRUPT" => return Err(Errno::EINVAL.into()),
            _ => self.legacy(name, agreed, payload, fds, memory, effects)?,
        };
        Ok(answer)
    }
}

/// A reply with that payload is no longer than the client takes (453-458).
///
/// # Errors
/// E2BIG where it is.
fn room(agreed: &Agreed, payload: u64) -> Result<(), Errno> {
    if HEADER_SIZE as u64 + payload > agreed.max_msg_size { Err(Errno::E2BIG) } else { Ok(()) }
}
