//! VERSION of 0.9.1.

use serde_json::{Value, json};
use vfio_user_reference_server::Errno;

use super::{answers, around, is, replies, unmap};
use crate::fault::{Fault, fault};
use crate::wrapper::{Answer, Faulty, capabilities, set_capabilities};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] =
    &[("L-VER-06", "any answer is right: the row tells what a server of that time calls itself")];

pub(crate) fn faults() -> Vec<Fault> {
    vec![
        fault("L-VER-01", "migration-is-true", || {
            replies(|command, reply| {
                if is(command, "VERSION") && !reply.header.is_error() {
                    let mut named = capabilities(reply);
                    if let Some(migration) = named.get_mut("migration") {
                        *migration = json!(true);
                    }
                    set_capabilities(reply, named);
                }
            })
        }),
        fault("L-VER-02", "its-own-pages-or-none", || {
            answers(|command| {
                let other = pgsize(command).is_some_and(|pgsize| pgsize != 4096);
                other.then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("L-VER-02", "no-smaller-pages", || {
            answers(|command| {
                let smaller = pgsize(command).is_some_and(|pgsize| pgsize < 4096);
                smaller.then_some(Answer::Error(Errno::EINVAL))
            })
        })
        .noted(),
        fault("L-VER-03", "every-client-can-migrate", || {
            answers(|command| {
                let cannot = is(command, "VERSION") && !capabilities(command).contains_key("migration");
                cannot.then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("L-VER-04", "as-many-bytes-as-are-asked-for", any_size),
        fault("L-VER-05", "in-network-order", || {
            replies(|command, reply| {
                if unmap(command).is_some() && !reply.header.is_error() {
                    reply
                        .payload
                        .get_mut(8..24)
                        .unwrap_or_default()
                        .as_chunks_mut::<8>()
                        .0
                        .iter_mut()
                        .for_each(|word| word.reverse());
                }
            })
        })
        .also("DUNMAP-05", "address and size are not repeated"),
        fault("L-VER-07", "a-page-size-is-a-number", || {
            around(|step| {
                if is(&step.frame, "VERSION")
                    && let Some(migration) = capabilities(&step.frame).get("migration")
                {
                    migration.get("pgsize").and_then(Value::as_u64).expect("pgsize");
                }
                step.pass();
            })
        })
        .by_process(),
    ]
}

/// The page size that a VERSION proposes.
fn pgsize(command: &vfio_user_wire::Frame) -> Option<u64> {
    capabilities(command).get("migration")?.get("pgsize")?.as_u64().filter(|_| is(command, "VERSION"))
}

/// It knows `max_msg_size`, and sends messages of any size.
pub(super) fn any_size() -> Faulty {
    replies(|command, reply| {
        if is(command, "VERSION") && !reply.header.is_error() && capabilities(command).contains_key("max_msg_size") {
            let mut named = capabilities(reply);
            named.insert("max_msg_size".to_owned(), json!(1 << 20));
            set_capabilities(reply, named);
        }
    })
}
