//! The lists of names and values (nvlists) that ZFS writes to disk, in XDR.
//! Only the kinds of value that a label needs; others are stepped over.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

const UINT64: u32 = 8;
const STRING: u32 = 9;
const NVLIST: u32 = 19;

/// How deep lists may be in lists: a label's vdev tree has three levels.
const DEPTH: u32 = 16;

/// A value of one of the kinds that are understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
    /// A list of its own.
    List(List),
}

/// Names with their values.
pub type List = BTreeMap<String, Value>;

/// Reads a packed list: encoding, byte order, two reserved bytes, the list.
pub fn unpack(bytes: &[u8]) -> Result<List> {
    ensure!(bytes.first() == Some(&1), "this is no nvlist in XDR");
    let mut reader = Reader { bytes, at: 4 };
    list(&mut reader, 0)
}

fn list(reader: &mut Reader<'_>, depth: u32) -> Result<List> {
    ensure!(depth < DEPTH, "lists are nested too deeply");
    let version = reader.number()?;
    ensure!(version == 0, "nvlist version {version} is not known");
    let _flags = reader.number()?;
    let mut found = List::new();
    loop {
        let start = reader.at;
        let size = reader.number()? as usize;
        let unpacked = reader.number()?;
        if size == 0 && unpacked == 0 {
            return Ok(found);
        }
        ensure!(size > 8, "a pair of {size} bytes is impossible");
        let name = reader.text()?;
        let kind = reader.number()?;
        let _elements = reader.number()?;
        let value = match kind {
            UINT64 => Some(Value::Number(reader.long()?)),
            STRING => Some(Value::Text(reader.text()?)),
            NVLIST => Some(Value::List(list(reader, depth + 1)?)),
            _ => None,
        };
        if let Some(value) = value {
            found.insert(name, value);
        }
        reader.at = start.checked_add(size).context("a pair is too long")?;
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).context("a length is too large")?;
        match self.bytes.get(self.at..end) {
            Some(taken) => {
                self.at = end;
                Ok(taken)
            }
            None => bail!("the list ends too early"),
        }
    }

    fn number(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn long(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.take(8)?.try_into()?))
    }

    /// A length, so many bytes, and padding to a multiple of four.
    fn text(&mut self) -> Result<String> {
        let length = self.number()? as usize;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(length.next_multiple_of(4) - length)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, unpack};

    /// A pair with its sizes (the unpacked one is of no interest here).
    fn pair(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        let mut body = (name.len() as u32).to_be_bytes().to_vec();
        body.extend(name.as_bytes());
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(kind.to_be_bytes());
        body.extend(1_u32.to_be_bytes());
        body.extend(value);
        let size = (body.len() + 8) as u32;
        [size.to_be_bytes().to_vec(), 1_u32.to_be_bytes().to_vec(), body].concat()
    }

    fn packed(pairs: &[Vec<u8>]) -> Vec<u8> {
        let header = vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        [header, pairs.concat(), vec![0; 8]].concat()
    }

    #[test]
    fn numbers_and_texts_are_read_and_the_rest_is_stepped_over() {
        let bytes = packed(&[
            pair("pool_guid", 8, &1_190_602_711_441_006_385_u64.to_be_bytes()),
            pair("odd", 24, &[1, 2, 3, 4]),
            pair("name", 9, &[0, 0, 0, 3, b't', b'h', b'e', 0]),
        ]);
        let list = unpack(&bytes).unwrap();
        assert_eq!(list["pool_guid"], Value::Number(1_190_602_711_441_006_385));
        assert_eq!(list["name"], Value::Text("the".into()));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn a_list_that_is_cut_off_is_an_error() {
        let bytes = packed(&[pair("state", 8, &1_u64.to_be_bytes())]);
        for end in 0..bytes.len() {
            assert!(unpack(&bytes[..end]).is_err(), "{end} bytes were accepted");
        }
    }
}
