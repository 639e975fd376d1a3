//! Tests of the planner as a whole: tables of situations, and histories at random.

mod checking;
mod exhaustive;
mod histories;
mod keeping;
mod keeping_clocks;
mod losses;
mod oracle;
mod own;
mod properties;
mod pruning;
mod recognising;
mod refusing;
mod resuming;
mod rolling_back;
mod sending;
mod size;
mod space;
mod trees;
