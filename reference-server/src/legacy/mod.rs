//! What 0.9.1 has otherwise than 0.9.2. Lines are those of its last text, `docs/vfio-user.rst` of libvfio-user before commit
//! 190f85b.

pub(crate) mod capability;
