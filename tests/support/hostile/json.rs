//! Version data of every shape.

use super::Script;

/// The largest that is made.
const MOST: usize = 3 << 20;

/// Bytes behind the four of major and minor.
pub(crate) fn version_data(script: &mut Script, honest: &[u8], largest: usize) -> Vec<u8> {
    let mut data = match script.below(24) {
        0 => Vec::new(),
        1 => nested(script, "[", "]"),
        2 => nested(script, "{\"a\":", "}"),
        3 => capabilities(script, honest),
        4 => format!("{{\"capabilities\":{}}}", value(script, 0)).into_bytes(),
        5 => value(script, 0).into_bytes(),
        6 => b"{\"capabilities\":{},\"capabilities\":{\"max_msg_fds\":1},\"capabilities\":7}".to_vec(),
        7 => b"\xff\xfe{\"capabilities\":\"\xc3\x28\"}".to_vec(),
        8 => repeated(script, "{\"capabilities\":[", "0,", "0]}"),
        9 => repeated(script, "{\"capabilities\":{", "\"\":{},", "\"a\":1}}"),
        10 => repeated(script, "{\"capabilities\":{\"a\":\"", "\\u0000", "\"}}"),
        11 => repeated(script, "[", "[],", "0]"),
        12 => {
            let count = script.below(64);
            script.bytes(count)
        }
        13 => honest.to_vec(),
        _ => {
            let mut data = capabilities(script, honest);
            data.push(0);
            return data;
        }
    };
    data.truncate(largest);
    match script.below(5) {
        0 | 1 => data.push(0),
        2 => data.extend([0; 9]),
        3 => {
            let at = script.below(data.len().clamp(1, 1 << 16));
            data.insert(at.min(data.len()), 0);
        }
        _ => {}
    }
    data
}

fn depth(script: &mut Script) -> usize {
    *script.pick(&[2, 127, 128, 129, 100_000, 1_000_000])
}

fn nested(script: &mut Script, open: &str, close: &str) -> Vec<u8> {
    let (depth, closed) = (depth(script), script.byte() < 128);
    let mut text = open.repeat(depth);
    text.push('0');
    if closed {
        text.push_str(&close.repeat(depth));
    }
    text.truncate(MOST);
    text.into_bytes()
}

fn repeated(script: &mut Script, start: &str, piece: &str, end: &str) -> Vec<u8> {
    let count = *script.pick(&[1, 300, 5000, 300_000, MOST]);
    let count = count.min(MOST / piece.len());
    [start, &piece.repeat(count), end].concat().into_bytes()
}

/// The honest capabilities with other values.
fn capabilities(script: &mut Script, honest: &[u8]) -> Vec<u8> {
    let text = honest.strip_suffix(&[0]).unwrap_or(honest);
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).unwrap_or_default();
    let capabilities = object.entry("capabilities").or_insert_with(|| serde_json::json!({}));
    const NAMES: [&str; 11] = [
        "max_msg_fds",
        "max_data_xfer_size",
        "max_dma_maps",
        "pgsizes",
        "migration",
        "write_multiple",
        "twin_socket",
        "max_fds",
        "max_msg_size",
        "pgsize",
        "",
    ];
    for _ in 0..=script.below(4) {
        let name = *script.pick(&NAMES);
        let value = serde_json::from_str(&value(script, 0)).unwrap_or(serde_json::Value::Null);
        match capabilities.as_object_mut() {
            Some(map) if name == "migration" && script.byte() < 128 => {
                map.insert(name.to_owned(), serde_json::json!({ "pgsize": value, "max_bitmap_size": 1 }));
            }
            Some(map) if name == "twin_socket" && script.byte() < 200 => {
                let index = script.below(4);
                map.insert(name.to_owned(), serde_json::json!({ "supported": true, "fd_index": index }));
            }
            Some(map) => _ = map.insert(name.to_owned(), value),
            None => break,
        }
    }
    serde_json::Value::Object(object).to_string().into_bytes()
}

fn value(script: &mut Script, depth: usize) -> String {
    match script.below(if depth > 3 { 24 } else { 28 }) {
        0 => "null".to_owned(),
        1 => "true".to_owned(),
        2 => "\"4096\"".to_owned(),
        3 => "-1".to_owned(),
        4 => "1e400".to_owned(),
        5 => "18446744073709551616".to_owned(),
        6 => "0".to_owned(),
        7 => "0.5".to_owned(),
        8 => "1e3".to_owned(),
        9 => "\"\\ud800\"".to_owned(),
        10..24 => script.edgy(4096, 214).to_string(),
        24 => format!("[{},{}]", value(script, depth + 1), value(script, depth + 1)),
        25 => format!("{{\"supported\":{},\"fd_index\":{}}}", value(script, depth + 1), value(script, depth + 1)),
        26 => format!("{{\"pgsize\":{}}}", value(script, depth + 1)),
        _ => format!("{{\"a\":{},\"a\":{}}}", value(script, depth + 1), value(script, depth + 1)),
    }
}
