//! Channel programs: several changes in one transaction, each checked against the guid that was seen when the plan
//! was made (S4). They need root and exist since ZFS 0.8 (facts: zfs.md 4.3, 8.3).

use std::collections::BTreeMap;

use crate::model::Guid;

use super::parse::Unreadable;

/// Destroys each snapshot whose guid is still the one that was planned.
pub const DESTROY: &str = r#"
args = ...
local results = {}
for _, argument in ipairs(args["argv"]) do
  local name, guid = string.match(argument, "^(.*)=(.*)$")
  if not zfs.exists(name) then
    results[name] = "missing"
  elseif string.format("%d", zfs.get_prop(name, "guid")) ~= guid then
    results[name] = "guid"
  else
    local errno = zfs.check.destroy(name)
    if errno == 0 then errno = zfs.sync.destroy(name) end
    results[name] = string.format("%d", errno)
  end
end
return results
"#;

/// Destroys all of these snapshots in this order, or none of them: when one has another guid or is held or cloned, the
/// others are "kept".
pub const DESTROY_ALL: &str = r#"
args = ...
local results, names, sound = {}, {}, true
for _, argument in ipairs(args["argv"]) do
  local name, guid = string.match(argument, "^(.*)=(.*)$")
  if not zfs.exists(name) then
    results[name] = "missing"
  elseif string.format("%d", zfs.get_prop(name, "guid")) ~= guid then
    results[name] = "guid"
    sound = false
  else
    results[name] = string.format("%d", zfs.check.destroy(name))
    if results[name] == "0" then
      names[#names + 1] = name
    else
      sound = false
    end
  end
end
for _, name in ipairs(names) do
  if sound then
    results[name] = string.format("%d", zfs.sync.destroy(name))
  else
    results[name] = "kept"
  end
end
return results
"#;

/// Notes on each snapshot whose guid is still the one that was planned since when the source lacks it. Arguments are
/// `DATASET@SNAP=GUID=VALUE`.
pub const MARK: &str = r#"
args = ...
local results = {}
for _, argument in ipairs(args["argv"]) do
  local name, guid, value = string.match(argument, "^(.*)=(.*)=(.*)$")
  if not zfs.exists(name) then
    results[name] = "missing"
  elseif string.format("%d", zfs.get_prop(name, "guid")) ~= guid then
    results[name] = "guid"
  else
    local errno = zfs.check.set_prop(name, "org.zferry:missing", value)
    if errno == 0 then errno = zfs.sync.set_prop(name, "org.zferry:missing", value) end
    results[name] = string.format("%d", errno)
  end
end
return results
"#;

/// What a snapshot is marked with that the source has again.
pub const UNMARKED: &str = "none";

/// Makes a bookmark of each snapshot whose guid is still the one that was planned. Arguments are
/// `DATASET@SNAP=GUID=BOOKMARK`.
pub const BOOKMARK: &str = r##"
args = ...
local results = {}
for _, argument in ipairs(args["argv"]) do
  local dataset, snap, guid, bookmark = string.match(argument, "^(.*)@(.*)=(.*)=(.*)$")
  local name = dataset .. "@" .. snap
  if not zfs.exists(name) then
    results[name] = "missing"
  elseif string.format("%d", zfs.get_prop(name, "guid")) ~= guid then
    results[name] = "guid"
  else
    local errno = zfs.check.bookmark(name, dataset .. "#" .. bookmark)
    if errno == 0 then errno = zfs.sync.bookmark(name, dataset .. "#" .. bookmark) end
    results[name] = string.format("%d", errno)
  end
end
return results
"##;

/// As many members as one transaction takes without coming near a channel program's limits, which stop it half-way.
pub const BATCH: usize = 200;

/// What became of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was done.
    Done,
    /// It is gone.
    Missing,
    /// Another one has its name now.
    OtherGuid,
    /// It could have been done, and another one could not.
    Kept,
    /// The kernel refused, with this error number.
    Errno(i64),
}

/// `EEXIST`: the bookmark is there already.
pub const EEXIST: i64 = 17;
/// `EBUSY`: held, or in use.
pub const EBUSY: i64 = 16;

/// An argument of [`DESTROY`] and [`DESTROY_ALL`].
pub fn destroy_argument(snapshot: &crate::model::SnapshotName, guid: Guid) -> String {
    format!("{snapshot}={}", guid.as_lua())
}

/// An argument of [`MARK`]; no time: it is not missing any more.
pub fn mark_argument(
    snapshot: &crate::model::SnapshotName,
    guid: Guid,
    since: Option<jiff::Timestamp>,
) -> String {
    let value = since.map_or_else(|| UNMARKED.to_owned(), |since| since.as_second().to_string());
    format!("{snapshot}={}={value}", guid.as_lua())
}

/// An argument of [`BOOKMARK`].
pub fn bookmark_argument(snapshot: &str, guid: Guid, name: &str) -> String {
    format!("{snapshot}={}={name}", guid.as_lua())
}

/// Reads `{"return": {"NAME": "0" | "missing" | "guid" | "ERRNO", …}}`.
///
/// # Errors
/// When it is something else.
pub fn fates(output: &[u8]) -> Result<BTreeMap<String, Fate>, Unreadable> {
    #[derive(serde::Deserialize)]
    struct Printed {
        #[serde(rename = "return", default)]
        results: BTreeMap<String, String>,
    }
    let printed: Printed = serde_json::from_slice(output)
        .map_err(|error| Unreadable { line: error.line(), what: error.to_string() })?;
    let fate = |text: &str| match text {
        "0" => Some(Fate::Done),
        "missing" => Some(Fate::Missing),
        "guid" => Some(Fate::OtherGuid),
        "kept" => Some(Fate::Kept),
        number => number.parse().ok().map(Fate::Errno),
    };
    let results = printed.results.into_iter();
    results
        .map(|(name, text)| {
            let what =
                || Unreadable { line: 0, what: format!("“{}” is not a result", text.escape_debug()) };
            fate(&text).map(|fate| (name, fate)).ok_or_else(what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_and_anything_else_is_an_error() {
        let read = fates(
            br#"{"return": {"a@b": "0", "a@c": "missing", "a@d": "guid", "a@e": "16", "a@f": "kept"}}"#,
        )
        .unwrap();
        assert_eq!(
            read.into_values().collect::<Vec<_>>(),
            [Fate::Done, Fate::Missing, Fate::OtherGuid, Fate::Errno(EBUSY), Fate::Kept]
        );
        assert!(fates(b"").is_err());
        assert!(fates(br#"{"return": {"a": "what"}}"#).is_err());
        assert!(fates(br#"{"return": {"a": 0}}"#).is_err());
    }

    #[test]
    fn a_mark_is_a_time_that_can_be_read_again() {
        let snapshot = "t/my home@a".parse().unwrap();
        let since = jiff::Timestamp::from_second(1_763_769_600).unwrap();
        assert_eq!(mark_argument(&snapshot, Guid(5), Some(since)), "t/my home@a=5=1763769600");
        assert_eq!(mark_argument(&snapshot, Guid(5), None), "t/my home@a=5=none");
        assert!(MARK.contains(crate::zfs::argv::PROPERTY_MISSING));
    }

    #[test]
    fn an_argument_carries_the_guid_as_lua_prints_it() {
        let snapshot = "t/my home@a".parse().unwrap();
        assert_eq!(destroy_argument(&snapshot, Guid(u64::MAX)), "t/my home@a=-1");
        assert_eq!(bookmark_argument("t/my home@a", Guid(5), "zferry_1_5"), "t/my home@a=5=zferry_1_5");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        use proptest::prelude::*;
        proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "\\{\"return\":\\{\".{0,20}\":.{0,20}")| {
            let _ = (fates(&bytes), fates(text.as_bytes()));
        });
    }
}
