//! The guest's system: what is in it, how it is built, and its saved state.

pub mod build;
pub mod recipe;
pub mod saved;
