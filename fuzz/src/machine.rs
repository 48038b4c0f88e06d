//! Commands that nobody would send, through the reference server's state machine.

use std::os::fd::OwnedFd;

use vfio_user_reference_server::{Channel, Driver, Extra, Feature, HostMemory, Server, Settings};
use vfio_user_wire::{Frame, HEADER_SIZE, Message, Tail, V0_9_2};

use super::answers::hostile::{Kept, Script, served};

/// More than that of one client is nothing new.
const MOST_MESSAGES: usize = 200;
/// Where the messages of a client map their memory.
const ADDRESSES: [u64; 6] = [0, 0x1000, 0x1_0000, 0x10_0000, 1 << 32, !0xfff];

/// The first byte says the version, the second what is left out, and the rest is a script of commands.
pub fn reference_server(data: &[u8]) {
    let mut script = Script::new(data);
    let profile = served(script.byte());
    let without = Feature::ALL.into_iter().map(|(_, feature)| feature).filter(|_| script.byte() < 16).collect();
    let with = (script.byte() < 128).then_some(Extra::PfnQuery);
    let mut server = Server::with(Settings { profile, without, with });
    let Ok(mut memory) = HostMemory::new() else { return };
    let mut kept = Kept::default();
    for _ in 0..2 {
        let mut driver = Driver::connect(&mut server);
        let mut sent = 0;
        while !script.is_over() && !driver.is_ending() && sent < MOST_MESSAGES && script.byte() != 0xff {
            let (frame, fds) = command(&mut script, profile.dialect().commands, &mut kept, sent);
            sent += 1;
            driver.take(Channel::Main, &frame.bytes(), fds, &mut server, &mut memory);
            while let Some(leaving) = driver.next_message() {
                assert!(leaving.frame.header.size as usize == HEADER_SIZE + leaving.frame.payload.len());
                // Its own commands are answered at random, too.
                if !leaving.frame.header.is_reply() && script.byte() < 128 {
                    let payload = [leaving.frame.payload.as_slice(), &[0; 64]].concat();
                    let reply = Frame::reply(&leaving.frame.header, payload);
                    driver.take(leaving.channel, &reply.bytes(), Vec::new(), &mut server, &mut memory);
                }
            }
            if script.byte() < 8 {
                kept.shrink(&mut script);
            }
        }
        driver.disconnect(&mut server, &mut memory);
    }
}

fn command(
    script: &mut Script,
    commands: &'static [(u16, &'static Message)],
    kept: &mut Kept,
    sent: usize,
) -> (Frame, Vec<OwnedFd>) {
    let (mut number, message) = *script.pick(commands);
    // Without VERSION nothing else is looked at.
    let message = if sent == 0 && script.byte() < 240 { V0_9_2.commands[0].1 } else { message };
    if sent == 0 {
        number = 1;
    }
    let mut payload = Vec::new();
    for variant in 0..2 {
        let body = if variant == 0 { message.request } else { message.request_of(&payload) };
        payload.resize(body.fixed_size(), 0);
        for field in body.fixed.into_iter().flat_map(|layout| layout.fields) {
            if field.read(&payload).is_some_and(|value| value != 0) {
                continue;
            }
            let value = match field.name {
                "argsz" => script.pick(&[0x1000, payload.len() as u64, 16, 32, 0, u64::MAX]).to_owned(),
                "address" | "iova" => *script.pick(&ADDRESSES),
                "flags" | "protections" => u64::from(script.byte()) | u64::from(script.byte() & 7) << 16,
                "size" | "length" => u64::from(script.byte() & 0x1f) << script.pick(&[0u32, 12, 12, 20]),
                "index" | "region" | "count" | "start" | "offset" => {
                    u64::from(script.byte()) << script.pick(&[0u32, 0, 2, 8])
                }
                _ => script.edgy(4096, payload.len()),
            };
            field.write(&mut payload, value);
        }
    }
    match message.request_of(&payload).tail {
        Tail::None => {}
        Tail::Json => {
            payload.extend(b"{\"capabilities\":{\"max_msg_fds\":16,\"twin_socket\":{\"supported\":true},\"migration\":{\"pgsize\":4096}}}\0");
        }
        _ => {
            let count = script.below(64);
            payload.extend(script.bytes(count));
        }
    }
    let mut frame = Frame::command(script.u16(), number, payload);
    match script.below(64) {
        0 => frame.header.flags = u32::from(script.byte()),
        1 => frame.header.size = frame.header.size.wrapping_add(u32::from(script.byte())),
        2 => frame.header.command = script.u16(),
        3 => frame.payload.truncate(script.below(64)),
        _ => {}
    }
    if script.byte() < 250 && frame.header.size as usize > HEADER_SIZE + frame.payload.len() {
        frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
    }
    let count = *script.pick(&[0, 0, 0, 1, 1, 1, 2, 17]);
    let fds =
        (0..count).filter_map(|_| if script.byte() < 128 { kept.memory(script) } else { kept.any(script) }).collect();
    (frame, fds)
}
