//! `cargo lab bench` will go here: the same work by zferry and by others, in turns,
//! in one guest. Only the ratios mean anything there, never the times.
