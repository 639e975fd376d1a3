//! Tests of the planner as a whole: tables of situations, and histories at random.

mod histories;
mod properties;
