//! Benches of the patch hot path: criterion for time, gungraun for instructions.
