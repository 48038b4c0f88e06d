//! Memory in vectors, with a record of what is mapped.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use vfio_user_reference_server::{Access, Errno, Memory};

/// A map: its file's offset and its bytes. Only so many are kept as tests touch.
#[derive(Debug)]
pub(crate) struct FakeMap {
    pub(crate) offset: u64,
    pub(crate) access: Access,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct FakeMemory {
    pub(crate) maps: BTreeMap<u64, FakeMap>,
    /// What the next map fails with.
    pub(crate) refusal: Option<Errno>,
    /// Maps behave as if their files had been truncated to nothing.
    pub(crate) truncated: bool,
    /// The doorbells that were asked for, and how often each was rung.
    pub(crate) doorbells: Vec<(Arc<OwnedFd>, u64)>,
    regions: BTreeMap<u32, Vec<u8>>,
    fd: Arc<OwnedFd>,
}

impl FakeMemory {
    pub(crate) fn new() -> FakeMemory {
        FakeMemory {
            maps: BTreeMap::new(),
            refusal: None,
            truncated: false,
            doorbells: Vec::new(),
            regions: BTreeMap::from([(1, vec![0; 64 << 10]), (2, vec![0; 2 << 20]), (9, vec![0; 0x12000])]),
            fd: Arc::new(File::open("/dev/null").unwrap().into()),
        }
    }

    fn region(&mut self, region: u32) -> Result<&mut Vec<u8>, Errno> {
        self.regions.get_mut(&region).ok_or(Errno::EINVAL)
    }
}

fn range(offset: u64, count: usize) -> std::ops::Range<usize> {
    offset as usize..offset as usize + count
}

impl Memory for FakeMemory {
    fn map(&mut self, address: u64, _: OwnedFd, offset: u64, size: u64, access: Access) -> Result<(), Errno> {
        if let Some(errno) = self.refusal.take() {
            return Err(errno);
        }
        let bytes = vec![0; size.min(1 << 20) as usize];
        assert!(self.maps.insert(address, FakeMap { offset, access, bytes }).is_none(), "mapped twice");
        Ok(())
    }

    fn unmap(&mut self, address: u64) {
        assert!(self.maps.remove(&address).is_some(), "unmapped what was not mapped");
    }

    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        if self.truncated {
            return Err(Errno::EFAULT);
        }
        bytes.copy_from_slice(&self.maps[&address].bytes[range(offset, bytes.len())]);
        Ok(())
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        if self.truncated {
            return Err(Errno::EFAULT);
        }
        let map = self.maps.get_mut(&address).unwrap();
        map.bytes[range(offset, bytes.len())].copy_from_slice(bytes);
        Ok(())
    }

    fn region_read(&mut self, region: u32, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        bytes.copy_from_slice(&self.region(region)?[range(offset, bytes.len())]);
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.region(region)?[range(offset, bytes.len())].copy_from_slice(bytes);
        Ok(())
    }

    fn region_clear(&mut self, region: u32) -> Result<(), Errno> {
        self.region(region)?.fill(0);
        Ok(())
    }

    fn region_fd(&self, region: u32) -> Option<Arc<OwnedFd>> {
        self.regions.contains_key(&region).then(|| Arc::clone(&self.fd))
    }

    fn doorbell(&mut self) -> Result<Arc<OwnedFd>, Errno> {
        let fd = Arc::new(File::open("/dev/null").unwrap().into());
        self.doorbells.push((Arc::clone(&fd), 0));
        Ok(fd)
    }

    fn io_region(&mut self) -> Result<(Arc<OwnedFd>, Arc<OwnedFd>), Errno> {
        let ours = self.doorbell()?;
        Ok((ours, Arc::new(File::open("/dev/null").unwrap().into())))
    }

    fn written(&mut self, ours: &Arc<OwnedFd>) -> u64 {
        self.rung(ours)
    }

    fn rung(&mut self, doorbell: &Arc<OwnedFd>) -> u64 {
        let (_, count) = self.doorbells.iter_mut().find(|(fd, _)| Arc::ptr_eq(fd, doorbell)).unwrap();
        std::mem::take(count)
    }
}
