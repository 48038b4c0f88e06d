//! VERSION of 0.9.1 (458-591), and which commands there are.

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Errno, Feature, Profile, Settings};
use vfio_user_wire::Frame;

use super::with;
use crate::client::{Client, failed, version};

fn agreed_with(settings: impl Into<Settings>, capabilities: &str) -> String {
    let data = format!("{{\"capabilities\":{capabilities}}}\0");
    let reply = Client::of(settings).ok("VERSION", &version(0, 1, &data));
    assert_eq!(reply[..4], [0, 0, 1, 0]);
    String::from_utf8(reply[4..].to_vec()).unwrap()
}

fn agreed(capabilities: &str) -> String {
    agreed_with(Profile::V0_9_1, capabilities)
}

#[test]
fn the_reply_selects_what_its_text_knows() {
    assert_eq!(
        agreed(r#"{"max_msg_fds":1,"max_data_xfer_size":4096,"max_dma_maps":9,"pgsizes":4096,"write_multiple":true}"#),
        "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576}}\0"
    );
    assert_eq!(agreed(r#"{"write_multiple":7,"pgsizes":"x"}"#), "{\"capabilities\":{}}\0");
}

#[test]
fn migration_is_selected_with_the_servers_page() {
    for migration in [r#"{"pgsize":4096}"#, r#"{"pgsize":65536}"#, r#"{"pgsize":2048}"#, "{}"] {
        let reply = agreed(&format!("{{\"migration\":{migration}}}"));
        assert_eq!(reply, "{\"capabilities\":{\"migration\":{\"pgsize\":4096}}}\0", "{migration}");
    }
    let settings = Settings { without: [Feature::Migration].into_iter().collect(), ..Profile::V0_9_1.into() };
    assert_eq!(agreed_with(settings, r#"{"migration":{"pgsize":4096}}"#), "{\"capabilities\":{}}\0");
}

#[test]
fn a_page_that_is_none_ends_the_connection() {
    for migration in ["7", "[]", r#"{"pgsize":0}"#, r#"{"pgsize":3000}"#, r#"{"pgsize":-1}"#, r#"{"pgsize":"4096"}"#] {
        let data = format!("{{\"capabilities\":{{\"migration\":{migration}}}}}\0");
        let (_, effects) = Client::of(Profile::V0_9_1).send("VERSION", &version(0, 1, &data), Vec::new());
        assert!(effects.len() == 2, "{migration}: {effects:?}");
    }
}

#[test]
fn what_later_texts_added_is_a_command_that_nobody_knows() {
    let mut client = with("{}");
    for command in [0, 15, 16, 17, 18, 19] {
        let frame = Frame::command(7, command, vec![0; 32]);
        let header = frame.header;
        let effects = client.receive(frame, Vec::new());
        let [vfio_user_reference_server::Effect::Send { frame, .. }] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        assert_eq!(failed(&header, frame), Errno::ENOSYS as i32, "{command}");
    }
    client.ok("DEVICE_RESET", &[]);
}
