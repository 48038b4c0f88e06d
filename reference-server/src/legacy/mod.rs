//! What 0.9.1 has otherwise than 0.9.2. Lines are those of its last text, `docs/vfio-user.rst` of libvfio-user before commit
//! 190f85b.

pub(crate) mod bitmap;
pub(crate) mod capability;
pub(crate) mod dirty_pages;
mod dma_map;
mod dma_unmap;

use std::os::fd::OwnedFd;

use crate::answer::{Answer, Refusal};
use crate::effect::Effect;
use crate::memory::Memory;
use crate::server::Server;
use crate::session::Agreed;
use dirty_pages::dirty_pages;
use dma_map::dma_map;
use dma_unmap::dma_unmap;

impl Server {
    /// Executes a command of 0.9.1.
    pub(crate) fn legacy(
        &mut self,
        name: &str,
        agreed: &Agreed,
        payload: &[u8],
        fds: Vec<OwnedFd>,
        memory: &mut dyn Memory,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let answer = match name {
            "DMA_MAP" => dma_map(self.settings, &mut self.session.maps, payload, fds, memory)?,
            "DMA_UNMAP" => {
                let (answer, maps) = dma_unmap(agreed, &mut self.session, payload, memory)?;
                maps.iter().for_each(|map| self.stop_touching(map));
                answer
            }
            "DIRTY_PAGES" => dirty_pages(self.settings, agreed, &mut self.session.log, payload)?,
            "REGION_WRITE" => {
                let answer = self.current(name, agreed, payload, fds, memory, effects)?;
                // It may have written the state of migration.
                if !self.device.is_running() {
                    self.stop_transfer();
                }
                answer
            }
            _ => return self.current(name, agreed, payload, fds, memory, effects),
        };
        Ok(answer)
    }
}
