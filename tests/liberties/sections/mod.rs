//! The liberties, one file for each part of the protocol.

mod dma;
mod header;
mod irqs;
mod migration;
mod regions;
mod socket;
mod version;

use vfio_user_reference_server::Profile;

use crate::liberty::Liberty;

/// A server that looks at everything, and refuses what it may.
const STRICT: &[&str] = &[
    "errors-of-any-number",
    "closes-on-any-malformed-size",
    "refuses-what-is-longer-than-its-structure",
    "closes-on-what-is-no-command",
    "the-second-version-ends-the-session",
    "argsz-below-the-structure-is-refused",
    "fields-that-must-be-zero-are-checked",
    "accesses-of-nothing-are-refused",
    "odd-maps-are-refused",
    "unmap-with-flags-is-refused",
    "only-eventfds-are-taken",
    "one-type-at-a-time",
    "argsz-is-checked",
    "booleans-are-0-or-1",
    "nothing-to-take-back-is-refused",
    "triggers-without-an-eventfd-are-refused",
    "features-without-room-are-refused",
    "features-with-argsz-below-the-payload-are-refused",
    "the-same-state-again-is-refused",
    "a-stop-that-stops-nothing-is-refused",
];
/// One that takes whatever comes, and has more of everything.
const LENIENT: &[&str] = &[
    "json-with-spaces-and-escapes",
    "members-that-nobody-asked-for",
    "the-second-version-is-answered-like-the-first",
    "drops-what-is-no-command",
    "unknown-capabilities-between",
    "ten-regions",
    "configuration-space-of-pci-express",
    "region-infos-have-an-offset-where-nothing-is-mapped",
    "sub-regions-of-48-bytes",
    "seven-interrupt-types",
    "odd-maps-are-taken",
    "unmap-of-everything",
    "features-of-the-kernel-are-there-too",
    "data-fd-is-minus-one",
    "the-log-has-pages-of-64-kib",
    "a-second-start-changes-nothing",
    "bitmaps-are-longer-than-they-need-to-be",
    "a-reset-changes-nothing-but-the-state",
];
/// One that has little room.
const SMALL: &[&str] = &[
    "numbers-with-exponents",
    "one-descriptor-in-a-message",
    "small-transfers",
    "two-maps-at-a-time",
    "twin-socket-declined-in-words",
    "write-multiple-declined-in-words",
    "no-areas",
    "no-sub-regions",
    "three-interrupt-types",
    "nothing-is-maskable",
    "nothing-is-probed",
    "a-reset-takes-maps-and-interrupts-away",
];
/// One whose device does as it likes.
const BUSY: &[&str] = &[
    "own-commands-have-the-client-s-ids",
    "a-clock-in-configuration-space",
    "bars-and-command-are-hardwired",
    "sub-regions-in-another-order",
    "interrupts-are-coalesced",
    "an-asserted-line-fires-when-it-is-unmasked",
    "memory-is-never-mapped",
    "reads-whole-lines",
    "reads-twice",
    "one-thing-at-a-time",
];
/// One that can do almost nothing.
const BARE: &[&str] = &[
    "no-descriptors-at-all",
    "no-dma-at-all",
    "no-reply-whatever-is-asked",
    "regions-are-not-mapped",
    "clients-trigger-nothing",
    "no-reset",
];
/// What versions have in common.
const OLDER: &[&str] = &[
    "errors-without-an-errno",
    "no-version-data",
    "many-areas",
    "reads-past-the-end-are-short",
    "msi-x-is-set-up-as-a-whole",
    "masked-interrupts-are-lost",
    "memory-is-mapped-when-it-is-used",
    "writes-without-a-reply",
];

pub(crate) fn liberties() -> Vec<Liberty> {
    let all = [
        header::liberties(),
        version::liberties(),
        regions::liberties(),
        irqs::liberties(),
        dma::liberties(),
        migration::liberties(),
        socket::liberties(),
    ];
    all.into_iter().flatten().collect()
}

/// Liberties that one server takes together, by a name for them.
pub(crate) fn together(all: &[Liberty]) -> Vec<(&'static str, Vec<Liberty>)> {
    let pick = |version: Profile, names: &[&str]| -> Vec<Liberty> {
        let find =
            |name: &&str| all.iter().find(|liberty| liberty.name == *name).unwrap_or_else(|| panic!("no {name}"));
        names.iter().map(find).map(|liberty| liberty.clone().of(version)).collect()
    };
    vec![
        ("strict", pick(Profile::V0_9_2, STRICT)),
        ("lenient", pick(Profile::V0_9_2, LENIENT)),
        ("small", pick(Profile::V0_9_2, SMALL)),
        ("busy", pick(Profile::V0_9_2, BUSY)),
        ("bare", pick(Profile::V0_9_2, BARE)),
        ("older", pick(Profile::V0_9_1, OLDER)),
    ]
}
