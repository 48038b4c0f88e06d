//! Version negotiation.

use serde_json::{Map, Value, json};
use vfio_user_reference_server::{Effect, Errno};
use vfio_user_wire::Frame;

use crate::layer::{Message, Served, around, around_each, refuses, replies_to, taken};
use crate::liberty::{Liberty, liberty};
use crate::wrapper::{capabilities, get, is, set_capabilities};

/// What VERSION says is looked at by these.
const STATED: [&str; 4] = ["version.[!m]*", "version.mi*", "version.maj*", "VER-33"];
/// These map memory.
const MAPS: [&str; 5] = ["DMAP-*", "DUNMAP-*", "DLOG-*", "DISC-*", "clients.*"];

pub(crate) fn liberties() -> Vec<Liberty> {
    vec![
        liberty("no-version-data", "502: it is optional", |served| bare(served, |reply| reply.payload.truncate(4)))
            .seen_by(&STATED)
            .seen_by(&["TWIN-*", "WMULTI-01", "SETIRQS-02", "SETIRQS-10"])
            .noted("TWIN-09", "a twin socket is recommended"),
        liberty("no-capabilities", "507-510: they are optional", |served| bare(served, |reply| data(reply, "{}\0")))
            .seen_by(&["version.[!m]*", "version.mi*", "version.maj*", "VER-33", "TWIN-*", "WMULTI-01"])
            .noted("TWIN-09", "a twin socket is recommended"),
        liberty("capabilities-that-are-empty", "517-540: each is optional", |served| {
            bare(served, |reply| data(reply, " {\n\t\"capabilities\" : { } \r\n}\0"))
        })
        .seen_by(&["version.[!m]*", "version.mi*", "version.maj*", "VER-33", "TWIN-*", "WMULTI-01"])
        .noted("TWIN-09", "a twin socket is recommended"),
        liberty("json-with-spaces-and-escapes", "502-510: it is JSON", |served| {
            replies_to(served, "VERSION", |_, reply| {
                if reply.payload.len() <= 4 {
                    return;
                }
                let text = text_of(reply).replace(':', " :\n ").replace("max_", "m\\u0061x_").replace(',', " ,\t");
                data(reply, &format!("\r\n {text} \n\0"));
            })
        })
        .seen_by(&["version.[!m]*", "version.mi*", "version.maj*", "VER-33", "TWIN-*"])
        .noted("VER-33", "it is longer than what QEMU takes"),
        liberty("numbers-with-exponents", "517-532: a number of JSON", |served| {
            replies_to(served, "VERSION", |_, reply| {
                if reply.payload.len() <= 4 {
                    return;
                }
                let text = text_of(reply)
                    .replace(":1048576", ":1.048576e6")
                    .replace(":65535", ":6.5535E+4")
                    .replace(":4096", ":4096.0")
                    .replace(":16", ":1.6e1");
                data(reply, &format!("{text}\0"));
            })
        })
        .seen_by(&["version.[!m]*", "version.mi*", "version.maj*", "VER-33", "DMAP-*", "RREAD-11"]),
        liberty(
            "members-that-nobody-asked-for",
            "507-510: what else stands beside the capabilities is not said",
            |served| {
                replies_to(served, "VERSION", |_, reply| {
                    if reply.payload.len() <= 4 {
                        return;
                    }
                    let text = text_of(reply);
                    data(
                        reply,
                        &text
                            .replacen('{', "{\"server\":{\"name\":\"unusual\",\"build\":[1,null]},", 1)
                            .replace('\0', ""),
                    );
                    reply.payload.push(0);
                })
            },
        )
        .seen_by(&["version.[!m]*", "version.mi*", "version.maj*", "VER-33"]),
        liberty("the-oldest-minor", "476-477: equal to or less than the one proposed", |served| {
            replies_to(served, "VERSION", |_, reply| reply.payload[2..4].fill(0))
        })
        .seen_by(&["version.[!m]*", "version.mi*", "version.maj*", "VER-33"]),
        liberty("twin-socket-declined-in-words", "563-565: it may; 587-589: false means no", |served| {
            bare_but(served, |capabilities| {
                capabilities.insert("twin_socket".to_owned(), json!({"supported": false}));
            })
        })
        .seen_by(&["TWIN-*", "VER-06", "DMARW-*"])
        .noted("TWIN-09", "a twin socket is recommended"),
        liberty("twin-socket-declined-with-nothing", "587-589: the field is missing", |served| {
            bare_but(served, |capabilities| {
                capabilities.insert("twin_socket".to_owned(), json!({}));
            })
        })
        .seen_by(&["TWIN-*", "VER-06", "DMARW-*"])
        .noted("TWIN-09", "a twin socket is recommended"),
        liberty("write-multiple-declined-in-words", "538-539: supported if it is true", |served| {
            let served = replies_to(served, "VERSION", |command, reply| {
                let mut stated = capabilities(reply);
                if capabilities(command).contains_key("write_multiple") {
                    stated.insert("write_multiple".to_owned(), json!(false));
                    set_capabilities(reply, stated);
                }
            });
            refuses(served, |frame, _| is(frame, "REGION_WRITE_MULTI").then_some(Errno::ENOTSUP))
        })
        .seen_by(&["WMULTI-*", "VER-21", "HDR-33"]),
        liberty("one-descriptor-in-a-message", "517-520: the default, stated", |served| at_most_fds(served, 1))
            .seen_by(&STATED)
            .seen_by(&["SETIRQS-*", "DMAP-17", "SEC-05", "IRQINFO-05"])
            .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("no-descriptors-at-all", "517-518; 46-48: passing descriptors is not necessary", |served| {
            at_most_fds(served, 0)
        })
        .seen_by(&[
            "version.[!m]*",
            "version.mi*",
            "version.maj*",
            "VER-33",
            "SETIRQS-*",
            "DMAP-*",
            "DUNMAP-*",
            "SEC-05",
            "IRQINFO-*",
            "SOCK-03",
            "DISC-*",
            "DLOG-*",
        ])
        .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("a-thousand-descriptors", "517-518: any number", |served| {
            replies_to(served, "VERSION", |_, reply| state(reply, "max_msg_fds", json!(1000)))
        })
        .seen_by(&["version.[!m]*", "version.mi*", "version.maj*", "VER-33", "SETIRQS-25", "SEC-05"])
        .noted("VER-34", "QEMU refuses more than 16")
        .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("small-transfers", "522-524; 1303-1304: a count must not exceed what the peer states", |served| {
            small_transfers(served, 64)
        })
        .seen_by(&[
            "version.[!m]*",
            "version.mi*",
            "version.maj*",
            "VER-33",
            "RREAD-*",
            "RWRITE-*",
            "MIGDATA-*",
            "REGINFO-*",
            "clients.*",
            "CONC-*",
        ])
        .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("tiny-transfers", "522-524; 1303-1304", |served| small_transfers(served, 4))
            .seen_by(&STATED)
            .seen_by(&["RREAD-*", "RWRITE-*", "MIGDATA-*", "REGINFO-*", "clients.*", "CONC-*"])
            .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("one-map-at-a-time", "526-528: how many can be valid is stated", |served| few_maps(served, 1))
            .seen_by(&STATED)
            .seen_by(&MAPS)
            .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("two-maps-at-a-time", "526-528", |served| few_maps(served, 2))
            .seen_by(&STATED)
            .seen_by(&MAPS)
            .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("pages-of-64-kib", "530-532: other sizes are stated", |served| pages(served, 1 << 16))
            .seen_by(&STATED)
            .seen_by(&MAPS)
            .seen_by(&["DMARW-*"])
            .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("pages-of-2-mib", "530-532", |served| pages(served, 1 << 21))
            .seen_by(&STATED)
            .seen_by(&MAPS)
            .seen_by(&["DMARW-*"])
            .noted("VER-06", "policy A-23: a value is stated unasked"),
        liberty("the-second-version-is-answered-like-the-first", "466-470 has the first alone", |served| {
            around_each(served, || {
                let mut first: Option<(Vec<u8>, Frame)> = None;
                move |message: Message<'_>| {
                    if !is(&message.frame, "VERSION") || !message.is_command() {
                        return message.pass();
                    }
                    let proposed = message.frame.payload.clone();
                    match &first {
                        Some((before, reply))
                            if *before == proposed && !capabilities(reply).contains_key("twin_socket") =>
                        {
                            let payload = reply.payload.clone();
                            message.answer(payload);
                        }
                        Some(_) => message.pass(),
                        None => message.pass_and(|effects| {
                            first = effects.iter().find_map(|effect| match effect {
                                Effect::Send { frame, .. } if !frame.header.is_error() => {
                                    Some((proposed.clone(), frame.clone()))
                                }
                                _ => None,
                            });
                        }),
                    }
                }
            })
        })
        .seen_by(&["VER-29"]),
        liberty("the-second-version-ends-the-session", "466-470; 312-317", |served| {
            around_each(served, || {
                let mut negotiated = false;
                move |message: Message<'_>| {
                    if negotiated && is(&message.frame, "VERSION") && message.is_command() {
                        return message.close();
                    }
                    negotiated |= is(&message.frame, "VERSION");
                    message.pass();
                }
            })
        })
        .seen_by(&["VER-29"]),
        liberty(
            "a-capability-is-required",
            "478-479: if it was not included, the server closes the connection",
            |served| {
                around(served, |message| {
                    let proposed = capabilities(&message.frame);
                    if message.is_command()
                        && is(&message.frame, "VERSION")
                        && !proposed.contains_key("max_data_xfer_size")
                    {
                        message.close();
                    } else {
                        message.pass();
                    }
                })
            },
        )
        .seen_by(&["version.[!m]*", "version.mi*", "version.maj*", "VER-33", "TWIN-*"])
        .noted("TWIN-02", "VERSION is closed upon")
        .noted("TWIN-03", "VERSION is closed upon")
        .noted("TWIN-04", "VERSION is closed upon")
        .noted("TWIN-05", "VERSION is closed upon")
        .noted("TWIN-11", "VERSION is closed upon")
        .noted("VER-09", "VERSION is closed upon")
        .noted("VER-11", "VERSION is closed upon")
        .noted("VER-16", "VERSION is closed upon")
        .noted("VER-22", "VERSION is closed upon")
        .noted("VER-23", "VERSION is closed upon"),
    ]
}

fn text_of(version: &Frame) -> String {
    String::from_utf8_lossy(version.payload.get(4..).unwrap_or_default()).trim_end_matches('\0').to_owned()
}

fn data(version: &mut Frame, text: &str) {
    version.payload.truncate(4);
    version.payload.extend(text.as_bytes());
}

/// States a capability, whether the client did or not: its default would be another one.
fn state(reply: &mut Frame, name: &str, value: Value) {
    let mut stated = capabilities(reply);
    stated.insert(name.to_owned(), value);
    set_capabilities(reply, stated);
}

/// Offers nothing that is optional, and states nothing of it.
fn bare(served: Served, say: impl Fn(&mut Frame) + 'static) -> Served {
    let served = without_offers(served, |_| ());
    replies_to(served, "VERSION", move |_, reply| say(reply))
}

fn bare_but(served: Served, say: impl Fn(&mut Map<String, Value>) + 'static) -> Served {
    without_offers(served, say)
}

/// Hides from the machine that the client knows twin sockets and REGION_WRITE_MULTI.
fn without_offers(served: Served, say: impl Fn(&mut Map<String, Value>) + 'static) -> Served {
    around(served, move |mut message| {
        if !message.is_command() || !is(&message.frame, "VERSION") {
            return message.pass();
        }
        let mut proposed = capabilities(&message.frame);
        let twin = proposed.remove("twin_socket").is_some();
        if proposed.remove("write_multiple").is_some() || twin {
            set_capabilities(&mut message.frame, proposed);
        }
        message.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && !frame.header.is_error()
                    && twin
                {
                    let mut stated = capabilities(frame);
                    say(&mut stated);
                    set_capabilities(frame, stated);
                    taken();
                }
            }
        });
    })
}

/// Takes no more descriptors with a message than it stated.
fn at_most_fds(served: Served, most: usize) -> Served {
    let served = replies_to(served, "VERSION", move |_, reply| state(reply, "max_msg_fds", json!(most)));
    refuses(served, move |_, fds| (fds.len() > most).then_some(Errno::E2BIG))
}

/// Takes no larger counts than it stated.
fn small_transfers(served: Served, most: u64) -> Served {
    let served = replies_to(served, "VERSION", move |_, reply| state(reply, "max_data_xfer_size", json!(most)));
    refuses(served, move |frame, _| {
        let access = is(frame, "REGION_READ") || is(frame, "REGION_WRITE");
        (access && get(frame, "count") > most).then_some(Errno::E2BIG)
    })
}

/// Takes no more maps at one time than it stated.
fn few_maps(served: Served, most: usize) -> Served {
    let served = replies_to(served, "VERSION", move |_, reply| state(reply, "max_dma_maps", json!(most)));
    around_each(served, move || {
        let mut maps: Vec<(u64, u64)> = Vec::new();
        move |message: Message<'_>| {
            let named = (get(&message.frame, "address"), get(&message.frame, "size"));
            let is_map = is(&message.frame, "DMA_MAP") && message.is_command();
            let is_unmap = is(&message.frame, "DMA_UNMAP") && message.is_command();
            let last = |(address, size): (u64, u64)| address.saturating_add(size.saturating_sub(1));
            let overlaps = maps.iter().any(|map| map.0 <= last(named) && named.0 <= last(*map));
            // What overlaps fails of that (653-655).
            if is_map && maps.len() >= most && !overlaps {
                return message.refuse(Errno::ENOSPC);
            }
            message.pass_and_learn(|done, _| {
                if is_map && done {
                    maps.push(named);
                } else if is_unmap && done {
                    maps.retain(|map| *map != named);
                }
            });
        }
    })
}

/// Maps pages of that size alone.
fn pages(served: Served, size: u64) -> Served {
    let served = replies_to(served, "VERSION", move |_, reply| state(reply, "pgsizes", json!(size)));
    refuses(served, move |frame, fds| {
        let unaligned = ["address", "size", "offset"]
            .iter()
            .any(|field| !get(frame, field).is_multiple_of(size) && (*field != "offset" || !fds.is_empty()));
        (is(frame, "DMA_MAP") && unaligned).then_some(Errno::EINVAL)
    })
}

/// Declines a twin socket without a word.
pub(super) fn without_twin(served: Served) -> Served {
    around(served, |mut message| {
        if message.is_command() && is(&message.frame, "VERSION") {
            let mut proposed = capabilities(&message.frame);
            if proposed.remove("twin_socket").is_some() {
                set_capabilities(&mut message.frame, proposed);
            }
        }
        message.pass();
    })
}
