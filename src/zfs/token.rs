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
}
