use super::imitation::{Writer, package, single};
use super::*;

fn checked(bytes: &[u8]) -> Result<(Whole, Vec<String>), StreamError> {
    let mut names = Vec::new();
    let whole = check(&mut &*bytes, &mut |begin| names.push(begin.name.clone()))?;
    Ok((whole, names))
}

/// What is said of it, as a person reads it.
fn told(bytes: &[u8]) -> String {
    match checked(bytes) {
        Ok(_) => "whole".to_owned(),
        Err(error) => format!("{error}: {}", error.damage),
    }
}

#[test]
fn a_whole_stream_is_one_in_either_byte_order() {
    for order in [Order::Little, Order::Big] {
        let stream = single(order);
        let (whole, names) = checked(&stream.bytes).unwrap();
        assert_eq!((whole.content, whole.order), (Content::Single, order));
        assert_eq!(whole.bytes, stream.bytes.len() as u64);
        assert_eq!(whole.records, [1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0]);
        assert_eq!(names, ["pool/diary@a"]);
    }
    let (whole, names) = checked(&package().bytes).unwrap();
    assert_eq!(whole.content, Content::Package(3));
    assert_eq!(names, ["pool/diary@a", "pool/diary@b", "pool/letters@b"]);
}

#[test]
fn what_begins_a_stream_says_what_it_is() {
    let mut begun = Vec::new();
    check(&mut &*package().bytes, &mut |begin| begun.push(begin.clone())).unwrap();
    let [first, ..] = &*begun else { panic!("nothing was seen") };
    assert_eq!((first.from.unwrap().0, first.to.0, first.created), (10, 11, 1_800_000_000));
    assert!(first.is_raw() && !first.is_rest() && !first.is_volume);
}

/// Every bit, everywhere: nothing of a stream may change unseen.
#[test]
fn each_flipped_bit_is_found() {
    for stream in [single(Order::Little), package()] {
        for at in 0..stream.bytes.len() {
            for bit in [0, 3, 7] {
                let mut bytes = stream.bytes.clone();
                bytes[at] ^= 1 << bit;
                assert!(checked(&bytes).is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn each_end_that_comes_too_early_is_found() {
    for stream in [single(Order::Big), package()] {
        for length in 0..stream.bytes.len() {
            let error = checked(&stream.bytes[..length]).unwrap_err();
            let is_border = stream.records.contains(&length);
            match error.damage {
                Damage::Empty => assert_eq!(length, 0),
                Damage::Unfinished { .. } | Damage::Unconcluded => assert!(is_border, "{length}"),
                Damage::CutOff { missing } => {
                    assert!(
                        !is_border && missing > 0 && length as u64 + missing <= stream.bytes.len() as u64
                    );
                }
                other => panic!("{length}: {other}"),
            }
        }
    }
}

/// Records that are swapped, left out or doubled.
#[test]
fn each_other_order_is_found() {
    let stream = package();
    let borders: Vec<usize> = stream.records.iter().copied().chain([stream.bytes.len()]).collect();
    let records: Vec<&[u8]> = borders.windows(2).map(|pair| &stream.bytes[pair[0]..pair[1]]).collect();
    for at in 0..records.len() {
        let mut without = records.clone();
        without.remove(at);
        assert!(checked(&without.concat()).is_err(), "without record {at}");
        let mut twice = records.clone();
        twice.insert(at, records[at]);
        assert!(checked(&twice.concat()).is_err(), "record {at} twice");
        for other in at + 1..records.len() {
            let mut swapped = records.clone();
            swapped.swap(at, other);
            let is_same = records[at] == records[other];
            assert_eq!(checked(&swapped.concat()).is_ok(), is_same, "records {at} and {other}");
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let stream = single(Order::Little);
    let mut damaged = stream.bytes.clone();
    damaged[stream.records[4] + 1000] ^= 1;
    let (from, next) = (stream.records[4] + 280, stream.records[5]);
    let expected = format!(
        "record 6 (SPILL), at byte {next}: the checksum here is not that of what was read: something between byte {from} and byte {} is damaged",
        next + 280
    );
    assert_eq!(told(&damaged), expected);
    for (bytes, words) in [
        (&b""[..], "there is nothing in it"),
        (&[0; 4096], "it does not begin as what `zfs send` writes does"),
        (b"a short text", "it does not begin as what `zfs send` writes does"),
        (&[0; 12], "it does not begin as what `zfs send` writes does"),
        (
            &stream.bytes[..100],
            "at byte 0: it was cut off here, in the middle of a record: at least 212 bytes",
        ),
        (&stream.bytes[..stream.records[3]], "between two records: the rest of the stream of pool/diary@a"),
        (&[&*stream.bytes, b"more"].concat(), "the stream ends here, and something follows it"),
        (&[&*stream.bytes, &stream.bytes].concat(), "the stream ends here, and something follows it"),
    ] {
        assert!(told(bytes).contains(words), "{}", told(bytes));
    }
}

#[test]
fn streams_that_do_not_follow_each_other_are_no_chain() {
    let mut gap = Writer::new(Order::Little);
    gap.open();
    gap.stream("pool/diary@a", 10, 11);
    gap.stream("pool/diary@c", 12, 13);
    gap.conclude();
    assert!(told(&gap.bytes).ends_with(
        "the stream of pool/diary@c continues from the guid 12, and the one before it ends with 11"
    ));
}

#[test]
fn what_is_sound_and_impossible_is_refused() {
    let with = |add: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::new(Order::Little);
        writer.begin("pool/diary@a", 1, 0, 11, &[]);
        add(&mut writer);
        writer.record(Kind::End, &[(40, 11)], &[], true);
        told(&writer.bytes)
    };
    let block = |length: u64| with(&|w| w.record(Kind::Write, &[(32, length), (40, 11)], &[], true));
    assert!(
        block(1 << 40).contains("a block of 1099511627776 bytes, and there are none of more than 131072")
    );
    assert!(block(4095).contains("4095 bytes, which is no multiple of four"));
    let stranger = with(&|w| w.record(Kind::FreeObjects, &[(24, 12)], &[], true));
    assert!(stranger.contains("it belongs to the snapshot with the guid 12, and this stream is one of 11"));
    let embedded = with(&|w| w.record(Kind::WriteEmbedded, &[(32, 11), (52, 8)], &[0; 8], true));
    assert!(embedded.contains("such a record does not belong here"));
    let mut form = Writer::new(Order::Little);
    form.begin("x", 3, 0, 11, &[]);
    form.record(Kind::End, &[(40, 11)], &[], true);
    assert!(told(&form.bytes).contains("neither that it is one stream nor that it is several (3)"));
}

/// Found by fuzzing: it was taken for so many bytes that are missing, less those that are there.
#[test]
fn a_list_of_an_odd_length_is_none() {
    let mut stream = single(Order::Little).bytes;
    stream[4] = 17;
    assert!(
        told(&stream).contains("it tells of 17 bytes, which is no multiple of four"),
        "{}",
        told(&stream)
    );
    assert!(checked(&stream[..312 + 18]).is_err());
}

/// Streams of before checksums of records are vouched for by the sum at their end.
#[test]
fn records_without_checksums_are_found_by_the_sum_of_all() {
    let write = |payload: &[u8]| {
        let mut writer = Writer::new(Order::Little);
        writer.begin("pool/diary@a", 1, 0, 11, &[]);
        writer.record(Kind::Write, &[(32, 16), (40, 11)], payload, false);
        writer.record(Kind::End, &[(40, 11)], &[], false);
        writer.bytes
    };
    let mut bytes = write(&[1; 16]);
    assert_eq!(told(&bytes), "whole");
    bytes[2 * 312 + 3] ^= 1;
    assert!(told(&bytes).contains("the checksum of the whole stream is not that of what was read"));
}

#[test]
fn a_name_is_shown_as_text() {
    let mut writer = Writer::new(Order::Little);
    writer.stream("pool/\u{1b}[31m@a", 0, 11);
    let (_, names) = checked(&writer.bytes).unwrap();
    assert!(!names[0].contains('\u{1b}'), "{names:?}");
}
