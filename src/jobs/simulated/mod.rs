//! Runs on a host in memory (`sim`), from the imported pool to what is recorded on it: the real planner, the real
//! parsers, the real execution, with faults at every command.

mod drilled;
mod faults;
mod found;
mod keeping;
mod pulled;
mod rescued;
mod restored;
mod scrubbed;
mod setting;
mod undisturbed;
mod verified;
