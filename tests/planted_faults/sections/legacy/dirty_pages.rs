//! DIRTY_PAGES of 0.9.1: START, STOP, and what GET_BITMAP is refused for.

use vfio_user_reference_server::Errno;
use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START, STOP};
use vfio_user_wire::legacy::{DirtyPages, DirtyPagesGet};

use super::{Log, answers, around, ask, dirty, get, is, nothing_dirty, replies, starts, stops, taken_as};
use crate::fault::{Fault, fault};
use crate::wrapper::{Answer, capabilities, set_capabilities};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [served(), requests(), started(), asked()].into_iter().flatten().collect()
}

fn start(argsz: u32) -> Vec<u8> {
    DirtyPages { argsz, flags: START }.bytes().to_vec()
}

fn served() -> Vec<Fault> {
    vec![
        fault("L-DP-01", "what-is-not-there-has-no-answer", || {
            answers(|command| is(command, "DIRTY_PAGES").then_some(Answer::Nothing))
        }),
        fault("L-DP-02", "logs-without-migration", || {
            replies(|command, reply| {
                if is(command, "VERSION") && !reply.header.is_error() {
                    let mut named = capabilities(reply);
                    named.remove("migration");
                    set_capabilities(reply, named);
                }
            })
        }),
    ]
}

fn requests() -> Vec<Fault> {
    vec![
        fault("L-DP-03", "missing-bytes-are-those-of-a-start", || {
            taken_as(|frame| (is(frame, "DIRTY_PAGES") && frame.payload.len() < 8).then(|| start(8)))
        }),
        // It reads as many bytes as argsz says.
        fault("L-DP-04", "waits-for-argsz-bytes", || {
            answers(|command| {
                let (head, _) = DirtyPages::parse(&command.payload)?;
                let waits = dirty(command)? & GET_BITMAP == 0 && head.argsz > 8;
                waits.then_some(Answer::Nothing)
            })
        }),
        fault("L-DP-08", "the-first-flag-counts", || {
            taken_as(|frame| dirty(frame).filter(|flags| flags & START != 0).map(|_| start(8)))
        }),
        fault("L-DP-08", "a-stop-is-a-stop", || {
            answers(|command| (dirty(command)? & STOP != 0).then(|| Answer::Ok(Vec::new())))
        }),
        fault("L-DP-09", "no-flag-is-a-start", || {
            taken_as(|frame| dirty(frame).filter(|flags| *flags == 0).map(|_| start(8)))
        }),
        fault("L-DP-09", "the-lowest-bits-count", || {
            taken_as(|frame| dirty(frame).filter(|flags| *flags != START && flags & 7 == START).map(|_| start(8)))
        })
        .noted(),
        fault("L-DP-11", "no-range-is-an-empty-one", || {
            answers(|command| {
                let short = dirty(command)? == GET_BITMAP && command.payload.len() < 40;
                let head = DirtyPages { argsz: 8, flags: GET_BITMAP };
                short.then(|| Answer::Ok(head.bytes().to_vec()))
            })
        }),
    ]
}

fn started() -> Vec<Fault> {
    vec![
        fault("L-DP-05", "the-request-comes-back", || {
            replies(|command, reply| {
                if starts(command) && !reply.header.is_error() {
                    reply.payload.clone_from(&command.payload);
                }
            })
        }),
        fault("L-DP-07", "the-request-comes-back", || {
            replies(|command, reply| {
                if stops(command) && !reply.header.is_error() {
                    reply.payload.clone_from(&command.payload);
                }
            })
        }),
        fault("L-DP-07", "the-log-goes-on", || answers(|command| stops(command).then(|| Answer::Ok(Vec::new()))))
            .noted(),
        fault("L-DP-25", "a-second-start-begins-anew", || {
            around(|mut step| {
                if starts(&step.frame) {
                    let stop = DirtyPages { argsz: 8, flags: STOP };
                    ask(&mut step, "DIRTY_PAGES", stop.bytes());
                }
                step.pass();
            })
        }),
        // It counts: after a stop too many a start is one too few.
        fault("L-DP-26", "stops-are-counted", || {
            let (mut log, mut missing) = (Log::default(), false);
            answers(move |command| {
                missing &= !is(command, "VERSION");
                missing |= !log.before(command) && stops(command);
                (missing && starts(command)).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("L-DP-30", "a-stopped-device-has-no-log", || {
            let mut stopped = false;
            answers(move |command| {
                stopped &= !is(command, "VERSION");
                if is(command, "REGION_WRITE")
                    && let Some((&[0, 0, 0, 0, 0, 0, 0, 0, region, ..], state)) = command.payload.split_at_checked(16)
                    && region >= 9
                    && state.len() == 4
                {
                    stopped = state[0] & 1 == 0;
                }
                (stopped && is(command, "DIRTY_PAGES")).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
    ]
}

fn asked() -> Vec<Fault> {
    vec![
        fault("L-DP-10", "nothing-is-dirty-before-a-start", || {
            let mut log = Log::default();
            answers(move |command| {
                let on = log.before(command);
                get(command).filter(|_| !on).map(|get| Answer::Ok(nothing_dirty(&get)))
            })
        }),
        fault("L-DP-22", "pages-of-any-size", || {
            answers(|command| {
                let get = get(command).filter(|get| !{ get.bitmap_pgsize }.is_power_of_two())?;
                Some(Answer::Ok(nothing_dirty(&get)))
            })
        }),
        fault("L-DP-20", "a-bitmap-of-any-size", || {
            answers(|command| {
                let get = get(command).filter(|get| get.size.div_ceil(4096) > get.bitmap_size.saturating_mul(8))?;
                Some(Answer::Ok(nothing_dirty(&get)))
            })
        }),
        fault("L-DP-20", "what-is-left-is-not-cleared", || {
            answers(|command| {
                let get =
                    get(command).filter(|get| (9..1024).contains(&{ get.bitmap_size }) && get.size <= 64 << 12)?;
                let mut payload = nothing_dirty(&get);
                payload.iter_mut().skip(48).for_each(|byte| *byte = 0xa5);
                Some(Answer::Ok(payload))
            })
        }),
        fault("L-DP-28", "argsz-is-cut-to-32-bits", || {
            answers(|command| {
                let get = get(command).filter(|get| get.bitmap_size > u64::from(u32::MAX))?;
                let head = DirtyPages { argsz: get.bitmap_size.wrapping_add(40) as u32, flags: GET_BITMAP };
                let mut payload = head.bytes().to_vec();
                payload.resize(get.argsz.min(4096) as usize, 0);
                Some(Answer::Ok(payload))
            })
        }),
        fault("L-DP-28", "sizes-are-added-up", || {
            around(|step| {
                if let Some(get) = get(&step.frame) {
                    let size = u32::try_from(get.bitmap_size).expect("a size of 32 bits");
                    size.checked_add(40).expect("a sum of 32 bits");
                }
                step.pass();
            })
        })
        .by_process(),
        // The reply has a bitmap for each of them.
        fault("L-DP-12", "as-many-ranges-as-there-are", || {
            around(|mut step| {
                let ranges: Vec<&[u8]> = step.frame.payload.get(8..).unwrap_or_default().chunks_exact(32).collect();
                if dirty(&step.frame) != Some(GET_BITMAP) || ranges.len() != 2 {
                    return step.pass();
                }
                let requests: Vec<Vec<u8>> = ranges.iter().map(|range| [&[0; 8], *range].concat()).collect();
                let mut bodies = Vec::new();
                for mut request in requests {
                    let head = DirtyPages { argsz: 4096, flags: GET_BITMAP };
                    request[..8].copy_from_slice(head.bytes());
                    let reply = ask(&mut step, "DIRTY_PAGES", &request).expect("a reply");
                    bodies.extend_from_slice(reply.payload.get(8..).unwrap_or_default());
                }
                let head = DirtyPages { argsz: 8 + bodies.len() as u32, flags: GET_BITMAP };
                let payload = [head.bytes(), &bodies].concat();
                step.answer(Answer::Ok(payload));
            })
        }),
        // Those of the log are shown, whatever pages were asked for.
        fault("L-DP-21", "pages-are-not-converted", || {
            around(|mut step| {
                let Some(asked) = get(&step.frame).filter(|get| { get.bitmap_pgsize } > 4096) else {
                    return step.pass();
                };
                let size = asked.size.div_ceil(4096).div_ceil(64) * 8;
                let own = DirtyPagesGet { argsz: 4096, bitmap_pgsize: 4096, bitmap_size: size, ..asked };
                let reply = ask(&mut step, "DIRTY_PAGES", own.bytes()).expect("a reply");
                let mut payload = nothing_dirty(&asked);
                let bits = reply.payload.get(40..).unwrap_or_default();
                payload.iter_mut().skip(40).zip(bits).for_each(|(to, from)| *to = *from);
                step.answer(Answer::Ok(payload));
            })
        }),
    ]
}
