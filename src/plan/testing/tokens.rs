//! Resume tokens as ZFS writes them: `1-<checksum>-<length>-<hex of zlib of an XDR nvlist>`.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use crate::model::Guid;

type Stream = (Option<Guid>, Guid, bool);

/// A token for the rest of the stream to `to`, of which some bytes arrived. Packed once: the exhaustive tests ask for
/// the same few millions of times.
pub fn token(from: Option<Guid>, to: Guid, raw: bool) -> String {
    static PACKED: LazyLock<Mutex<HashMap<Stream, String>>> = LazyLock::new(Mutex::default);
    let mut packed = PACKED.lock().unwrap();
    packed.entry((from, to, raw)).or_insert_with(|| pack(from, to, raw)).clone()
}

fn pack(from: Option<Guid>, to: Guid, raw: bool) -> String {
    let mut packed = vec![1, 1, 0, 0];
    packed.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    let numbers = [("object", 1), ("offset", 0), ("bytes", 3), ("toguid", to.0)];
    for (called, value) in numbers.into_iter().chain(from.map(|from| ("fromguid", from.0))) {
        pair(&mut packed, called, 8, &value.to_be_bytes());
    }
    for flag in ["compressok"].into_iter().chain(raw.then_some("rawok")) {
        pair(&mut packed, flag, 1, &[]);
    }
    packed.extend([0; 8]);
    let compressed = miniz_oxide::deflate::compress_to_vec_zlib(&packed, 6);
    let hex: String = compressed.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("1-c0ffee-{:x}-{hex}", packed.len())
}

fn pair(packed: &mut Vec<u8>, called: &str, kind: u32, value: &[u8]) {
    let mut body = u32::try_from(called.len()).unwrap().to_be_bytes().to_vec();
    body.extend(called.bytes());
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(kind.to_be_bytes());
    body.extend(u32::from(kind != 1).to_be_bytes());
    body.extend(value);
    packed.extend(u32::try_from(body.len() + 8).unwrap().to_be_bytes());
    packed.extend([0; 4]);
    packed.extend(body);
}
