//! How fast streams are looked at, beside what the machine can do at all: `cargo bench --bench streams`.
//!
//! `cargo lab bench` runs it too, and puts the ratios into docs/benchmarks.md.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made has nothing to go on with")]
#![expect(clippy::disallowed_methods, reason = "what is not zferry is spawned as anybody would spawn it")]

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use pulp::{Arch, Simd, WithSimd};
use zferry::jobs::stream::{Closely, verify};
use zferry::stream::{Fletcher4, Manifest, Order, check};

/// More than the caches hold.
const BYTES: usize = 256 << 20;
/// The payload of a record, as most of a large file's are.
const PAYLOAD: usize = 128 << 10;
/// A record without its payload, and where its checksum stands.
const HEADER: usize = 312;
const CHECKED: usize = 280;
/// The variable with the command line of OpenZFS' own program, where there is one: `cargo lab bench` has it.
const ZSTREAM: &str = "ZSTREAM";
/// The snapshot.
const TO: u64 = 11;

fn streams(criterion: &mut Criterion) {
    let stream = raw_stream();
    let (directory, file) = in_memory(&stream);
    let mut group = criterion.benchmark_group("streams");
    group.throughput(Throughput::Bytes(stream.len() as u64)).sample_size(10);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    on_the_buffer(&mut group, &stream);
    group.bench_function("verify a file with its manifest", |bencher| {
        bencher.iter(|| {
            verify(std::slice::from_ref(&file), Closely::Whole, Timestamp::UNIX_EPOCH, &mut |checked| {
                assert!(checked.found.is_ok(), "{:?}", checked.found);
            });
        });
    });
    if let Some(zstream) = std::env::var_os(ZSTREAM) {
        group.bench_function("zstream dump", |bencher| {
            bencher.iter(|| {
                let stdin = fs::File::open(&file).expect("the stream");
                let mut command = Command::new("sh");
                command
                    .args(["-c", "eval \"exec $0 dump\""])
                    .arg(&zstream)
                    .stdin(stdin)
                    .stdout(Stdio::null());
                assert!(command.status().expect("a shell").success(), "zstream failed");
            });
        });
    }
    group.finish();
    drop(directory);
}

/// One thread each, on what is in memory.
fn on_the_buffer(group: &mut BenchmarkGroup<'_, WallTime>, stream: &[u8]) {
    group.bench_function("read memory", |bencher| bencher.iter(|| read(black_box(stream))));
    group.bench_function("BLAKE3", |bencher| bencher.iter(|| blake3::hash(black_box(stream))));
    group.bench_function("Fletcher-4", |bencher| {
        bencher.iter(|| {
            let mut sums = Fletcher4::default();
            sums.add(black_box(stream), Order::Little);
            sums
        });
    });
    group.bench_function("check a stream", |bencher| {
        bencher.iter(|| check(&mut black_box(stream), &mut |_| ()).map(|whole| whole.bytes));
    });
}

/// A raw stream of one file system: a BEGIN, writes, and an END.
fn raw_stream() -> Vec<u8> {
    let (mut bytes, mut sums) = (Vec::with_capacity(BYTES + (1 << 20)), Fletcher4::default());
    let mut begin = [0; HEADER];
    let features: u64 = 0x142_0004;
    for (at, value) in [(8, 0x0002_F5BA_CBAC), (16, 1 | features << 2), (24, 1_800_000_000), (40, TO)] {
        put(&mut begin, at, value);
    }
    begin[56..68].copy_from_slice(b"pool/diary@a");
    sums.add(&begin, Order::Little);
    bytes.extend(begin);
    let mut payload = vec![0; PAYLOAD];
    // Anything that does not repeat: what is summed does not matter, only that nobody can leave it out.
    let mut state: u64 = 1;
    for place in 0..(BYTES / PAYLOAD) as u64 {
        for word in payload.as_chunks_mut::<8>().0 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *word = state.to_le_bytes();
        }
        let length = PAYLOAD as u64;
        let fields = [(0, 3), (8, 1), (24, place * length), (32, length), (40, TO)];
        record(&mut bytes, &mut sums, &fields, &payload);
    }
    let [a, b, c, d] = sums.sums();
    record(&mut bytes, &mut sums, &[(0, 5), (8, a), (16, b), (24, c), (32, d), (40, TO)], &[]);
    bytes
}

/// A record with its checksum, behind what is there.
fn record(bytes: &mut Vec<u8>, sums: &mut Fletcher4, fields: &[(usize, u64)], payload: &[u8]) {
    let mut header = [0; HEADER];
    fields.iter().for_each(|(at, value)| put(&mut header, *at, *value));
    sums.add(&header[..CHECKED], Order::Little);
    let told = sums.sums();
    told.iter().enumerate().for_each(|(place, sum)| put(&mut header, CHECKED + 8 * place, *sum));
    sums.add(&header[CHECKED..], Order::Little);
    sums.add(payload, Order::Little);
    bytes.extend(header);
    bytes.extend(payload);
}

fn put(header: &mut [u8; HEADER], at: usize, value: u64) {
    header[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// As a file with its manifest, which no disk is waited for.
fn in_memory(stream: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let directory = tempfile::tempdir_in(place).expect("a directory in memory");
    let file = directory.path().join("diary");
    fs::write(&file, stream).expect("room for the stream in memory");
    let mut begun = None;
    let whole = check(&mut &stream[..], &mut |begin| begun = Some(begin.clone())).expect("a sound stream");
    let begin = begun.expect("a stream");
    let hash = blake3::hash(stream).to_hex().to_string();
    let manifest = Manifest::new("diary".into(), (&begin, &begin), &whole, hash, Timestamp::UNIX_EPOCH);
    let text = serde_json::to_vec(&manifest).expect("a manifest");
    fs::write(directory.path().join("diary.json"), text).expect("room for the manifest");
    (directory, file)
}

/// Every byte once, with the widest loads there are.
fn read(bytes: &[u8]) -> u64 {
    Arch::new().dispatch(Read(bytes))
}

struct Read<'a>(&'a [u8]);

impl WithSimd for Read<'_> {
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> u64 {
        let words = bytemuck::cast_slice::<u8, u64>(&self.0[..self.0.len() / 8 * 8]);
        let (vectors, rest) = S::as_simd_u64s(words);
        let mut sums = [simd.splat_u64s(0); 4];
        let (fours, last) = vectors.as_chunks::<4>();
        for four in fours {
            for (sum, vector) in sums.iter_mut().zip(four) {
                *sum = simd.add_u64s(*sum, *vector);
            }
        }
        let of = |vector: &S::u64s| {
            let words = bytemuck::cast_slice::<S::u64s, u64>(std::slice::from_ref(vector));
            words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
        };
        let tail = rest.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word));
        sums.iter().chain(last).fold(tail, |sum, vector| sum.wrapping_add(of(vector)))
    }
}

criterion_group!(benches, streams);
criterion_main!(benches);
