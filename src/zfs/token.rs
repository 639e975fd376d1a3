//! Resume tokens: what an interrupted stream was. They lie on the removable pool and are untrusted (S11; a forged one
//! could name any snapshot of the source, or drop the raw flag: facts zfs.md 3.1), so they are read here, not by
//! looking at text that a command printed.
//!
//! `1-<checksum>-<length>-<hex of zlib of a packed nvlist in native encoding>`, as `get_receive_resume_token_impl` in
//! `module/zfs/dsl_dataset.c` writes it.

use crate::model::{Guid, Nvlist};

/// Tokens are some hundred bytes; a hostile one must not make us allocate.
const MAX_PACKED: usize = 64 * 1024;

/// What the interrupted stream was to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The snapshot that was being received.
    pub to: Guid,
    /// What it was an increment from; none: a full stream.
    pub from: Option<Guid>,
    /// Whether it was a raw stream.
    pub raw: bool,
    /// Bytes that the receiver acknowledged.
    pub bytes: u64,
}

/// The text is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be read: {0}")]
pub struct TokenError(pub &'static str);

impl std::str::FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let parts: Vec<_> = text.split('-').collect();
        let ["1", _, length, hex] = parts[..] else {
            return Err(TokenError("it does not have the four parts of version 1"));
        };
        let length =
            usize::from_str_radix(length, 16).map_err(|_| TokenError("its length is not a number"))?;
        let compressed = bytes(hex).ok_or(TokenError("its content is not hexadecimal"))?;
        let packed =
            miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&compressed, length.min(MAX_PACKED))
                .map_err(|_| TokenError("its content is damaged"))?;
        let list = Nvlist::parse(&packed).map_err(|_| TokenError("its content is not an nvlist"))?;
        let to = list.unsigned("toguid").ok_or(TokenError("it names no snapshot"))?;
        Ok(Self {
            to: Guid(to),
            from: list.unsigned("fromguid").filter(|&guid| guid != 0).map(Guid),
            raw: list.has_flag("rawok"),
            bytes: list.unsigned("bytes").unwrap_or_default(),
        })
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 2 * MAX_PACKED {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_token_is_refused() {
        for bad in
            ["", "-", "1-2-3", "2-a-b-c", "1-a-zz-78", "1-a-c8-7", "1-a-c8-zz", "1-a-c8-789c", "1-a-c8-ä"]
        {
            assert!(bad.parse::<Token>().is_err(), "{bad:?}");
        }
    }

    /// A token with this content, as a drive may have it.
    fn token(packed: &[u8], length: usize) -> String {
        let compressed = miniz_oxide::deflate::compress_to_vec_zlib(packed, 6);
        let hex: String = compressed.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("1-c0ffee-{length:x}-{hex}")
    }

    #[test]
    fn a_token_that_would_fill_the_memory_is_refused() {
        let huge = vec![0; 64 << 20];
        for length in [huge.len(), usize::MAX, 0] {
            assert!(token(&huge, length).parse::<Token>().is_err(), "{length}");
        }
        let long = "a".repeat(4 * MAX_PACKED);
        assert!(format!("1-a-ffff-{long}").parse::<Token>().is_err());
    }

    #[test]
    fn what_a_token_says_of_names_and_offsets_is_not_asked() {
        // A list in the machine's own encoding, as the kernel writes it, would do as well: see the model.
        let mut pairs = vec![("toguid", 8, 7_u64.to_be_bytes().to_vec())];
        let list = crate::model::packing::pack(&pairs);
        assert_eq!(
            token(&list, list.len()).parse(),
            Ok(Token { to: Guid(7), from: None, raw: false, bytes: 0 })
        );
        pairs.push(("toname", 9, crate::model::packing::text("\u{1b}[2J-rf / $(reboot)")));
        pairs.push(("bytes", 8, u64::MAX.to_be_bytes().to_vec()));
        pairs.push(("fromguid", 8, 0_u64.to_be_bytes().to_vec()));
        let list = crate::model::packing::pack(&pairs);
        let read: Token = token(&list, list.len()).parse().unwrap();
        assert_eq!((read.to, read.from, read.bytes), (Guid(7), None, u64::MAX));
        // A guid of another type is none.
        let text = crate::model::packing::pack(&[("toguid", 9, crate::model::packing::text("7"))]);
        assert!(token(&text, text.len()).parse::<Token>().is_err());
    }

    #[test]
    fn no_token_makes_the_reader_panic() {
        use proptest::prelude::*;
        proptest!(|(text in ".{0,100}", hex in "1-[0-9a-f]{0,8}-[0-9a-f]{0,4}-[0-9a-f]{0,200}", mut packed in proptest::collection::vec(any::<u8>(), 4..200), kind in 0..2_u8)| {
            packed[0] = kind;
            packed[1] = 1;
            for token in [text, hex, token(&packed, packed.len())] {
                let _ = token.parse::<Token>();
            }
        });
    }
}
