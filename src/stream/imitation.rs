//! Streams as `zfs send` writes them, made by hand, for tests.

use super::fletcher::Fletcher4;
use super::record::{Begin, CHECKED, Features, HEADER, Kind, Order};
use crate::model::Guid;

impl Begin {
    /// Of a plain file system.
    pub fn imitated(name: &str, from: Option<Guid>, to: Guid) -> Self {
        Self {
            name: name.to_owned(),
            to,
            from,
            created: 0,
            is_volume: false,
            is_package: false,
            features: Features::default(),
        }
    }
}

/// Where a number of 64 bits goes.
pub type Field = (usize, u64);

/// A stream that grows record by record.
pub struct Writer {
    pub bytes: Vec<u8>,
    /// Where each record begins.
    pub records: Vec<usize>,
    sums: Fletcher4,
    order: Order,
    /// When the snapshots were taken.
    created: u64,
}

const RAW: u64 = 0x142_0004;

impl Writer {
    pub fn new(order: Order) -> Self {
        Self {
            bytes: Vec::new(),
            records: Vec::new(),
            sums: Fletcher4::default(),
            order,
            created: 1_800_000_000,
        }
    }

    fn u64(&self, value: u64) -> [u8; 8] {
        match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    fn u32(&self, value: u32) -> [u8; 4] {
        match self.order {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    /// A record of any form, with its checksum unless it is one of those that have none.
    pub fn record(&mut self, kind: Kind, fields: &[Field], payload: &[u8], is_checked: bool) {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&self.u32(kind as u32));
        for (at, value) in fields {
            // A field of 32 bits is told by its place, which no field of 64 bits has.
            if at % 8 == 4 || [16, 24].contains(at) && kind == Kind::Object || *at == 52 {
                header[*at..at + 4].copy_from_slice(&self.u32(*value as u32));
            } else {
                header[*at..at + 8].copy_from_slice(&self.u64(*value));
            }
        }
        if kind == Kind::Begin {
            self.sums = Fletcher4::default();
            header[4..8].copy_from_slice(&self.u32(payload.len() as u32));
        } else {
            let total = self.sums;
            if kind == Kind::End && fields.iter().all(|(at, _)| *at == 40) && !fields.is_empty() {
                header[8..40].copy_from_slice(&self.sums_as_bytes(total));
            }
            self.sums.add(&header[..CHECKED], self.order);
            if is_checked {
                let bytes = self.sums_as_bytes(self.sums);
                header[CHECKED..].copy_from_slice(&bytes);
            }
            self.sums.add(&header[CHECKED..], self.order);
        }
        if kind == Kind::Begin {
            self.sums.add(&header, self.order);
        }
        self.sums.add(payload, self.order);
        self.records.push(self.bytes.len());
        self.bytes.extend(header);
        self.bytes.extend(payload);
    }

    fn sums_as_bytes(&self, sums: Fletcher4) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, sum) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(sums.sums()) {
            *place = self.u64(sum);
        }
        bytes
    }

    /// The first record of a stream, of the form 1 (single) or 2 (package).
    pub fn begin(&mut self, name: &str, form: u64, from: u64, to: u64, list: &[u8]) {
        let at = self.bytes.len();
        let features = if form == 1 { RAW } else { 0 };
        let fields =
            [(8, 0x0002_F5BA_CBAC), (16, form | features << 2), (24, self.created), (40, to), (48, from)];
        self.record(Kind::Begin, &fields, list, false);
        // The name was not there when the sums were made.
        self.bytes[at + 56..at + 56 + name.len()].copy_from_slice(name.as_bytes());
        self.sums = Fletcher4::default();
        self.sums.add(&self.bytes[at..], self.order);
    }

    /// One stream of a few records of different kinds.
    pub fn stream(&mut self, name: &str, from: u64, to: u64) {
        self.begin(name, 1, from, to, &[7; 24]);
        self.record(Kind::ObjectRange, &[(8, 0), (16, 32), (24, to)], &[], true);
        self.record(Kind::Object, &[(8, 1), (28, 20), (40, to)], &[1; 24], true);
        self.record(Kind::FreeObjects, &[(8, 2), (16, 30), (24, to)], &[], true);
        self.record(Kind::Write, &[(8, 1), (24, 0), (32, 4096), (40, to)], &[2; 4096], true);
        self.record(Kind::Spill, &[(8, 1), (16, 512), (24, to)], &[3; 512], true);
        self.record(Kind::Free, &[(8, 1), (16, 4096), (24, u64::MAX), (32, to)], &[], true);
        self.record(Kind::End, &[(40, to)], &[], true);
    }

    /// What opens several streams.
    pub fn open(&mut self) {
        self.begin("pool/diary@b", 2, 0, 0, &[9; 64]);
        let at = self.bytes.len();
        let total = self.sums_as_bytes(self.sums);
        self.record(Kind::End, &[], &[], false);
        self.bytes[at + 8..at + 40].copy_from_slice(&total);
    }

    /// What ends them.
    pub fn conclude(&mut self) {
        self.record(Kind::End, &[], &[], false);
    }
}

/// A single stream.
pub fn single(order: Order) -> Writer {
    let mut writer = Writer::new(order);
    writer.stream("pool/diary@a", 0, 11);
    writer
}

/// A single stream of this snapshot.
pub fn one(name: &str, from: u64, to: u64, created: u64) -> Vec<u8> {
    let mut writer = Writer { created, ..Writer::new(Order::Little) };
    writer.stream(name, from, to);
    writer.bytes
}

/// Two streams of a dataset, and one of another.
pub fn package() -> Writer {
    let mut writer = Writer::new(Order::Little);
    writer.open();
    writer.stream("pool/diary@a", 10, 11);
    writer.stream("pool/diary@b", 11, 12);
    writer.stream("pool/letters@b", 20, 21);
    writer.conclude();
    writer
}
