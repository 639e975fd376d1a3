//! Which ZFS properties the configuration may set on the top dataset of a copy.

/// zferry sets these itself, so that nothing from the drive is ever mounted over a live path (S9).
const SET_BY_ZFERRY: [&str; 3] = ["readonly", "canmount", "volmode"];
/// A raw stream brings these along; ZFS refuses to receive it with any of them given.
const BROUGHT_BY_THE_STREAM: [&str; 4] = ["encryption", "keyformat", "keylocation", "pbkdf2iters"];
/// Where zferry keeps its own notes.
const OURS: &str = "org.zferry";
/// `ZFS_MAX_DATASET_NAME_LEN` and `ZAP_MAXVALUELEN`, less the terminating zero.
const MAX_NAME: usize = 255;
const MAX_VALUE: usize = 8191;

/// Why a property is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// S9.
    #[error("is set by zferry itself, so that nothing from the drive is mounted over live files")]
    SetByZferry,
    /// Encryption.
    #[error("comes with the encrypted stream and cannot be set")]
    BroughtByTheStream,
    /// In our name space.
    #[error("is one of zferry's own notes")]
    Ours,
    /// Not a name.
    #[error("is not the name of a property: lower-case letters, digits and “:+.-_” make one")]
    Name,
    /// Not a value.
    #[error("has a value that is longer than {MAX_VALUE} bytes or has control characters in it")]
    Value,
}

/// Checks one property.
///
/// # Errors
/// When it is not allowed in a configuration.
pub fn check(name: &str, value: &str) -> Result<(), PropertyError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b":+.-_".contains(&b);
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !begins_well || name.len() > MAX_NAME || !name.bytes().all(allowed) {
        return Err(PropertyError::Name);
    }
    if SET_BY_ZFERRY.contains(&name) {
        return Err(PropertyError::SetByZferry);
    }
    if BROUGHT_BY_THE_STREAM.contains(&name) {
        return Err(PropertyError::BroughtByTheStream);
    }
    if name.starts_with(OURS) {
        return Err(PropertyError::Ours);
    }
    if value.len() > MAX_VALUE || value.chars().any(char::is_control) {
        return Err(PropertyError::Value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_properties_that_cannot_do_harm_are_taken() {
        for (name, value, expected) in [
            ("mountpoint", "/mnt/eds", Ok(())),
            ("snapdir", "visible", Ok(())),
            ("com.example:note", "a = b", Ok(())),
            ("canmount", "on", Err(PropertyError::SetByZferry)),
            ("readonly", "off", Err(PropertyError::SetByZferry)),
            ("volmode", "dev", Err(PropertyError::SetByZferry)),
            ("keylocation", "file:///k", Err(PropertyError::BroughtByTheStream)),
            ("org.zferry:source", "1", Err(PropertyError::Ours)),
            ("a=b", "c", Err(PropertyError::Name)),
            ("-o", "c", Err(PropertyError::Name)),
            ("", "c", Err(PropertyError::Name)),
            ("READONLY", "off", Err(PropertyError::Name)),
            ("snap\ndir", "visible", Err(PropertyError::Name)),
            ("mountpoint", "/mnt\n", Err(PropertyError::Value)),
        ] {
            assert_eq!(check(name, value), expected, "{name:?} {value:?}");
        }
    }
}
