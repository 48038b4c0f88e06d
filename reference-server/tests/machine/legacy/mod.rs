//! Protocol 0.9.1. Lines are those of `docs/vfio-user.rst` of libvfio-user before commit 190f85b.

mod version;

use vfio_user_reference_server::Profile;

use crate::client::Client;

/// Negotiated, with those capabilities.
pub(super) fn with(capabilities: &str) -> Client {
    let mut client = Client::of(Profile::V0_9_1);
    client.negotiate(capabilities);
    client
}
